package configs

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Print writes the settings as YAML that Load takes, secrets masked, each with where it comes from.
func (l *Loaded) Print(w io.Writer) error {
	var out bytes.Buffer
	all, err := l.Effective()
	if err != nil {
		return err
	}
	section := ""
	for _, s := range all {
		parent, key, nested := strings.Cut(s.Key, ".")
		if !nested {
			parent, key = "", s.Key
		}
		if parent != section && nested {
			fmt.Fprintf(&out, "%s:\n", parent)
		}
		section = parent
		indent := ""
		if nested {
			indent = "  "
		}
		fmt.Fprintf(&out, "%-44s # %s\n", indent+key+": "+s.Value, s.From)
	}
	if _, err := out.WriteTo(w); err != nil {
		return fmt.Errorf("printing the settings: %w", err)
	}
	return nil
}

// Setting is one that is in effect.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"` // as YAML on one line, secrets masked
	From  string `json:"from"`  // where it comes from: "default", "file crier.yaml:12", "env CRIER_LISTEN" or "flag --listen"
}

// Effective returns all settings, in the order of Print.
func (l *Loaded) Effective() ([]Setting, error) {
	var all []Setting
	for _, s := range settings() {
		text, err := l.yaml(s)
		if err != nil {
			return nil, fmt.Errorf("printing %s: %w", s.key, err)
		}
		all = append(all, Setting{s.key, text, l.origin(s.key)})
	}
	return all, nil
}

// yaml writes the value of a setting on one line.
func (l *Loaded) yaml(s setting) (string, error) {
	field := s.at(l.Config)
	tag := "!!str" // quoted where it would be taken for something else
	switch field.(type) {
	case boolValue, sizeValue, countValue, durationValue, levelValue:
		tag = ""
	}
	var nodes []*yaml.Node
	for _, item := range field.items() {
		scalar := &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: s.shown(item)}
		if strings.Contains(item, "\n") {
			scalar.Style = yaml.DoubleQuotedStyle // else it takes several lines
		}
		nodes = append(nodes, scalar)
	}
	if keys, ok := field.(keysValue); ok {
		for _, key := range keys.api.Limited {
			nodes = append(nodes, key.node())
		}
	}
	node := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle, Content: nodes}
	if !field.list() {
		node = nodes[0]
	}
	text, err := yaml.Marshal(node)
	return strings.TrimSpace(string(text)), err
}
