package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readFile reads the YAML file, if there is one.
func (l *Loaded) readFile(path string) (layer, Mistakes) {
	named := path != ""
	if !named {
		path = DefaultFile
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil, nil
	}
	if err != nil {
		return nil, Mistakes{{Key: "config file", Value: quote(path), Problem: "cannot be read: " + reason(err).Error()}}
	}
	l.File = path
	return parseFile(path, data)
}

// parseFile takes a YAML document apart; path is its name in mistakes. Settings may be nested
// (api: {listen: …}) or dotted (api.listen: …).
func parseFile(path string, data []byte) (layer, Mistakes) {
	r := fileReader{path: path, table: known(), got: make(layer)}
	var document, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return r.got, nil
	case err != nil:
		return nil, Mistakes{{Key: "config file", Value: quote(path), Problem: "is not YAML: " + yamlProblem(err)}}
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, Mistakes{{Key: "config file", Value: quote(path), Problem: "must be one YAML document, without a --- in the middle"}}
	}
	root := document.Content[0]
	switch {
	case root.Kind == yaml.MappingNode:
		r.section("", root)
	case !isNull(root):
		r.complain("config file", root, "must be a list of settings, such as listen: :2120")
	}
	return r.got, r.mistakes
}

// yamlProblem is the parser's message without what it may quote from the file.
func yamlProblem(err error) string {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.Contains(message, "anchor") {
		return "a value that begins with * or & needs quotes"
	}
	return message
}

// fileReader collects what a file says.
type fileReader struct {
	path     string
	table    map[string]setting // by key, and key_file for secrets
	got      layer
	mistakes Mistakes
}

func (r *fileReader) where(node *yaml.Node) string {
	return fmt.Sprintf("file %s:%d", r.path, node.Line)
}

func (r *fileReader) complain(key string, node *yaml.Node, problem string) {
	r.mistakes = append(r.mistakes, Mistake{Key: key, Problem: problem, Where: r.where(node)})
}

// section reads the settings below a key; prefix is that key and a dot, or nothing.
func (r *fileReader) section(prefix string, node *yaml.Node) {
	seen := make(map[string]bool)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, content := prefix+node.Content[i].Value, resolve(node.Content[i+1])
		_, isSetting := r.table[key]
		switch {
		case node.Content[i].Kind != yaml.ScalarNode:
			r.complain(name(prefix+"?"), node.Content[i], "is not a setting: a key is plain text")
		case seen[key]:
			r.complain(name(key), node.Content[i], "is given twice in the same file")
		case isSetting:
			r.setting(key, node.Content[i], content)
		case !r.isSection(key):
			r.complain(name(key), node.Content[i], unknown("a setting", key, r.candidates()))
		case content.Kind == yaml.MappingNode:
			r.section(key+".", content)
		case !isNull(content):
			r.complain(key, content, "must be a section with settings in it, not a value")
		}
		seen[key] = true
	}
}

// setting reads what is given for a key of the table.
func (r *fileReader) setting(key string, at, content *yaml.Node) {
	if _, twice := r.got[key]; twice {
		r.complain(key, at, "is given twice in the same file")
		return
	}
	s := r.table[key]
	takesList := s.key == key && s.at(Default()).list()
	value := given{where: r.where(content)}
	switch {
	case isNull(content):
		return
	case content.Kind == yaml.ScalarNode:
		value.items, value.split = []string{content.Value}, true
	case content.Kind == yaml.SequenceNode && takesList:
		if !r.list(key, content, &value) {
			return
		}
	case takesList:
		r.complain(key, content, "must be a list, or comma-separated text")
		return
	default:
		r.complain(key, content, "must be one value")
		return
	}
	r.got[key] = value
}

// list reads the items of a list into value, and complains about those that cannot be any; ok is then false.
func (r *fileReader) list(key string, content *yaml.Node, value *given) (ok bool) {
	ok = true
	for _, element := range content.Content {
		element = resolve(element)
		switch {
		case key == keysKey && element.Kind == yaml.MappingNode:
			e, right := r.entry(element)
			value.entries = append(value.entries, e)
			ok = ok && right
		case key == keysKey && (element.Kind != yaml.ScalarNode || isNull(element)):
			r.complain(key, element, "must have a key for each item: plain text, or a mapping such as {key: KEY, rights: [push]}")
			return false
		case element.Kind != yaml.ScalarNode || isNull(element):
			r.complain(key, element, "must have plain text for each item")
			return false
		default:
			value.items = append(value.items, element.Value)
		}
	}
	return ok
}

// isSection reports whether settings are below key.
func (r *fileReader) isSection(key string) bool {
	for known := range r.table {
		if strings.HasPrefix(known, key+".") {
			return true
		}
	}
	return false
}

// candidates returns what may stand as a key: settings and sections.
func (r *fileReader) candidates() []string {
	keys := sortedKeys(r.table)
	for _, key := range sortedKeys(r.table) {
		if section, _, nested := strings.Cut(key, "."); nested && !slices.Contains(keys, section) {
			keys = append(keys, section)
		}
	}
	return keys
}

// resolve follows an alias to what it stands for.
func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}
