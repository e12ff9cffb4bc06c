package documents

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`)
	comment = regexp.MustCompile(`(?m)\s+(#|//) .*$`)
)

// shape is what two languages of a document have in common, line by line: levels of headings, fences and what stands between, but for
// comments, rows of tables, items and where links lead.
func shape(text string) (lines []string) {
	fenced, block := false, ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			if fenced {
				lines = append(lines, comment.ReplaceAllString(block, ""))
			}
			fenced, block = !fenced, line+"\n"
			continue
		case fenced:
			block += line + "\n"
			continue
		case strings.HasPrefix(line, "#"):
			level, _, _ := strings.Cut(line, " ")
			lines = append(lines, level)
		case strings.HasPrefix(line, "|"):
			lines = append(lines, "a row of "+strings.Repeat("|", strings.Count(line, "|")))
		case strings.HasPrefix(line, "- "):
			lines = append(lines, "an item")
		case strings.HasPrefix(line, "<!--"):
			lines = append(lines, line)
		}
		for _, m := range link.FindAllStringSubmatch(line, -1) {
			if strings.HasPrefix(m[1], "README") {
				continue // to the other language
			}
			to := m[1]
			if to != "" { // within the document, headings are called differently
				to += m[2]
			}
			lines = append(lines, "a link to "+to)
		}
	}
	return lines
}

// TestChinese: README.zh-CN.md has the headings, the code, the tables and the links of README.md, in the same places.
func TestChinese(t *testing.T) {
	english, chinese := shape(rawDocument(t, "../README.md")), shape(rawDocument(t, "../README.zh-CN.md"))
	if len(english) < 80 {
		t.Fatalf("README.md has a shape of %d lines", len(english))
	}
	// Where links stand in a sentence is a matter of the language: they are compared for each heading.
	for part := range max(len(sections(english)), len(sections(chinese))) {
		a, b := at(sections(english), part), at(sections(chinese), part)
		if !slices.Equal(a, b) {
			t.Errorf("part %d differs:\nREADME.md        %q\nREADME.zh-CN.md  %q", part, a, b)
		}
	}
}

// sections are the parts of a shape, which begin with a heading; their links are in order.
func sections(lines []string) (parts [][]string) {
	for _, line := range lines {
		if strings.HasPrefix(line, "#") || len(parts) == 0 {
			parts = append(parts, nil)
		}
		last := len(parts) - 1
		parts[last] = append(parts[last], line)
	}
	for _, part := range parts {
		slices.SortStableFunc(part, func(a, b string) int {
			if strings.HasPrefix(a, "a link") && strings.HasPrefix(b, "a link") {
				return strings.Compare(a, b)
			}
			return boolInt(strings.HasPrefix(a, "a link")) - boolInt(strings.HasPrefix(b, "a link"))
		})
	}
	return parts
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// at is one of the parts, or nil.
func at(parts [][]string, n int) []string {
	if n < len(parts) {
		return parts[n]
	}
	return nil
}
