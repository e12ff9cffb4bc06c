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
	section := ""
	for _, s := range settings() {
		parent, key, nested := strings.Cut(s.key, ".")
		if !nested {
			parent, key = "", s.key
		}
		if parent != section && nested {
			fmt.Fprintf(&out, "%s:\n", parent)
		}
		section = parent
		indent := ""
		if nested {
			indent = "  "
		}
		text, err := l.yaml(s)
		if err != nil {
			return fmt.Errorf("printing %s: %w", s.key, err)
		}
		fmt.Fprintf(&out, "%-44s # %s\n", indent+key+": "+text, l.origin(s.key))
	}
	if _, err := out.WriteTo(w); err != nil {
		return fmt.Errorf("printing the settings: %w", err)
	}
	return nil
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
