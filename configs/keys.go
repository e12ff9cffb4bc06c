package configs

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// keysKey is the setting whose items can be mappings: keys with limits.
const keysKey = "api.keys"

// mostRate is the largest rate of a key, in messages a second; the least is one a minute.
const mostRate = 1000000

var (
	errRate     = errors.New("must be messages a second or a minute, such as 100/s, 6000/m or 100 (a second), from 1/m to 1000000/s; without it there is no limit")
	errAudience = errors.New("must be what names begin with: 1 to 255 bytes of text without control characters; without it there is no limit")
	errEntry    = errors.New("looks like a key with limits: only the YAML file takes those, as mappings in the list; " +
		"the environment, flags, and files of keys take plain keys")
)

// rightNames are the rights that a key can have.
func rightNames() []string { return []string{"push", "read", "admin"} }

// keysValue is the bearer keys. As text, only the plain ones are seen.
type keysValue struct{ api *API }

func (v keysValue) kind() string    { return "LIST" }
func (v keysValue) list() bool      { return true }
func (v keysValue) items() []string { return v.api.Keys }

// set replaces all keys, those with limits too.
func (v keysValue) set(items []string) []fault {
	for _, item := range items {
		// Split at its commas, a mapping could end as several keys that are easily guessed.
		if strings.HasPrefix(strings.TrimLeft(item, "[ "), "{") && strings.Contains(item, ":") {
			return []fault{{item, errEntry.Error()}}
		}
	}
	faults := many(&v.api.Keys, items, parseAPIKey, func(text string) string { return text })
	if faults == nil {
		v.api.Limited = nil
	}
	return faults
}

// entry is a mapping in api.keys. Its key is in APIKey, or still in the file.
type entry struct {
	APIKey
	file  string // path; empty: there is none
	where string
}

// secret returns the key of an entry, or what is wrong with its file.
func (e entry) secret() (string, Mistakes) {
	if e.file == "" {
		return e.Key, nil
	}
	wrong := func(problem string) (string, Mistakes) {
		return "", Mistakes{{keysKey + ".key" + fileKey, quotedSecretPath(e.file), problem, e.where}}
	}
	secrets, err := readSecrets(e.file)
	if err != nil {
		return wrong(err.Error())
	}
	if len(secrets) > 1 {
		return wrong("holds several lines, but an entry has one key")
	}
	key, err := parseAPIKey(secrets[0])
	if err != nil {
		return "", Mistakes{{keysKey + ".key" + fileKey, mask, err.Error(), e.where}}
	}
	return key, nil
}

// applyEntries stores keys of which some have limits.
func (l *Loaded) applyEntries(got given) Mistakes {
	var api API
	var mistakes Mistakes
	for _, fault := range (keysValue{&api}).set(got.items) {
		mistakes = append(mistakes, Mistake{keysKey, mask, fault.problem, got.where})
	}
	seen := make(map[string]bool)
	for _, key := range got.items {
		seen[key] = true
	}
	for _, e := range got.entries {
		key, wrong := e.secret()
		if wrong != nil {
			mistakes = append(mistakes, wrong...)
			continue
		}
		if seen[key] {
			mistakes = append(mistakes, Mistake{keysKey, mask, "is given twice; once is enough", e.where})
		}
		seen[key] = true
		e.Key = key
		api.Limited = append(api.Limited, e.APIKey)
	}
	if mistakes == nil {
		l.Config.API.Keys, l.Config.API.Limited = api.Keys, api.Limited
		l.from[keysKey] = got.where
	}
	return mistakes
}

// entry reads a mapping in api.keys. Whatever is wrong with it is complained about, and ok is then false.
func (r *fileReader) entry(node *yaml.Node) (e entry, ok bool) {
	e.where = r.where(node)
	before := len(r.mistakes)
	seen := make(map[string]bool)
	for i := 0; i+1 < len(node.Content); i += 2 {
		at, content := node.Content[i], resolve(node.Content[i+1])
		if seen[at.Value] && slices.Contains(members(), at.Value) {
			r.complain(keysKey+"."+at.Value, at, "is given twice in the same entry")
			continue
		}
		seen[at.Value] = true
		r.member(&e, at, content)
	}
	switch {
	case seen["key"] && seen["key"+fileKey]:
		r.complain(keysKey+".key", node, "is given twice, by itself and as a file: give one of them")
	case !seen["key"] && !seen["key"+fileKey]:
		r.masked(keysKey, node, "needs a key, or a key_file that holds it")
	}
	return e, len(r.mistakes) == before
}

// members are what an entry of api.keys can have.
func members() []string { return []string{"key", "key" + fileKey, "rights", "audience", "rate"} }

// member reads one member of an entry. An empty one is a mistake: taken for none, it would lift a limit.
func (r *fileReader) member(e *entry, at, content *yaml.Node) {
	key := keysKey + "." + at.Value
	scalar := content.Kind == yaml.ScalarNode
	switch {
	case at.Kind != yaml.ScalarNode || !slices.Contains(members(), at.Value):
		r.stray(at)
	case isNull(content) || scalar && content.Value == "" || content.Kind == yaml.SequenceNode && len(content.Content) == 0:
		r.complain(key, at, "is empty: say what it is, or leave it out")
	case at.Value == "rights":
		r.rights(e, content)
	case !scalar:
		r.complain(key, content, "must be one value")
	default:
		if err := e.set(at.Value, content.Value); err != nil {
			r.masked(key, content, err.Error())
		}
	}
}

// set stores a member of one value.
func (e *entry) set(member, text string) (err error) {
	switch member {
	case "key":
		e.Key, err = parseAPIKey(text)
	case "key" + fileKey:
		if e.file, err = parseFilePath(strings.TrimSpace(text)); e.file == "" {
			err = errFilePath
		}
	case "audience":
		if len(text) > 255 || !isPrintable(text) {
			return errAudience
		}
		e.Audience = text
	case "rate":
		e.Rate, err = parseRate(text)
	}
	return err
}

// masked complains about a value without showing it: it may be a key that is in the wrong place.
func (r *fileReader) masked(key string, node *yaml.Node, problem string) {
	r.mistakes = append(r.mistakes, Mistake{key, mask, problem, r.where(node)})
}

// stray complains about what is no member. It is shown only if it is nearly one: {sesame, rights: push} has the key there.
func (r *fileReader) stray(at *yaml.Node) {
	best := Nearest(at.Value, members())
	if at.Kind != yaml.ScalarNode || best == "" || editDistance(strings.ToLower(at.Value), best) > 2 {
		r.masked(keysKey, at, "is not part of a key with limits, which takes "+orList(members()))
		return
	}
	r.complain(keysKey+"."+name(at.Value), at, "is not part of a key with limits; did you mean "+best+"?")
}

// rights reads a list, or comma-separated text.
func (r *fileReader) rights(e *entry, content *yaml.Node) {
	var items []string
	switch content.Kind {
	case yaml.ScalarNode:
		items = splitList([]string{content.Value})
	case yaml.SequenceNode:
		for _, element := range content.Content {
			element = resolve(element)
			if element.Kind != yaml.ScalarNode {
				r.complain(keysKey+".rights", element, "must have plain text for each item")
				return
			}
			items = append(items, element.Value)
		}
	default:
		r.complain(keysKey+".rights", content, "must be a list, or comma-separated text")
		return
	}
	for _, fault := range choices(&e.Rights, rightNames()...).set(items) {
		problem := fault.problem
		if best := Nearest(fault.item, rightNames()); best != "" && best != fault.item {
			problem += "; did you mean " + best + "?"
		}
		r.masked(keysKey+".rights", content, problem)
	}
}

// node writes a key with limits as it may be printed.
func (k APIKey) node() *yaml.Node {
	text := func(value string) *yaml.Node {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
	}
	node := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle, Content: []*yaml.Node{text("key"), text(mask)}}
	if len(k.Rights) > 0 {
		rights := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, right := range k.Rights {
			rights.Content = append(rights.Content, text(right))
		}
		node.Content = append(node.Content, text("rights"), rights)
	}
	if k.Audience != "" {
		node.Content = append(node.Content, text("audience"), text(k.Audience))
	}
	if k.Rate > 0 {
		node.Content = append(node.Content, text("rate"), text(formatRate(k.Rate)))
	}
	return node
}

// parseRate reads a decimal number of messages, and perhaps what it is for: /s, which is usual, or /m.
func parseRate(text string) (float64, error) {
	number, minutes := strings.CutSuffix(text, "/m")
	if !minutes {
		number = strings.TrimSuffix(text, "/s")
	}
	if strings.IndexFunc(number, func(r rune) bool { return (r < '0' || r > '9') && r != '.' }) >= 0 {
		return 0, errRate
	}
	rate, err := strconv.ParseFloat(number, 64)
	if minutes {
		rate /= 60
	}
	if err != nil || rate < 1.0/60 || rate > mostRate {
		return 0, errRate
	}
	return rate, nil
}

// formatRate writes a rate such that parseRate reads the same again.
func formatRate(rate float64) string {
	if minutes := math.Round(rate * 60); rate != math.Trunc(rate) && minutes/60 == rate {
		return fmt.Sprintf("%.0f/m", minutes)
	}
	return strconv.FormatFloat(rate, 'f', -1, 64) + "/s"
}
