//go:build linux

package storm

import (
	"errors"
	"io"
	"net/http"
)

// answer is one that is whole.
type answer struct {
	status int
	body   string
}

func answerTo(c *http.Client, q *http.Request) (answer, error) {
	resp, err := c.Do(q)
	if err != nil {
		return answer{}, err
	}
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(text)}, errors.Join(err, resp.Body.Close())
}
