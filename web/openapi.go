package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// openAPI is what the manual reads of an OpenAPI 3.1 document.
type openAPI struct {
	Info  struct{ Title, Description string }
	Paths ordered[ordered[operation]]

	Components struct {
		Schemas   map[string]*schema
		Responses map[string]*response
	}
}

type operation struct {
	OperationID          string
	Summary, Description string
	Parameters           []parameter
	RequestBody          struct{ Content ordered[media] }
	Responses            ordered[*response]
}

type parameter struct {
	Name, In, Description string
	Required              bool
	Schema                *schema
	Example               json.RawMessage
}

type response struct {
	Ref         string `json:"$ref"`
	Description string
	Content     ordered[media]
}

type media struct {
	Schema  *schema
	Example json.RawMessage
}

// schema is a JSON Schema, as far as the manual shows it.
type schema struct {
	Ref           string `json:"$ref"`
	Type          types
	Description   string
	Required      []string
	Properties    ordered[*schema]
	Items         *schema
	OneOf         []*schema
	Default, Enum json.RawMessage
}

// types is the type of a schema: one, or several in an array.
type types []string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *types) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, (*[]string)(t))
	}
	*t = types{""}
	return json.Unmarshal(data, &(*t)[0])
}

// ordered is a JSON object whose members are in the order in which they were written.
type ordered[T any] []member[T]

type member[T any] struct {
	name  string
	value T
}

// UnmarshalJSON implements [json.Unmarshaler].
func (o *ordered[T]) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return errors.Join(errors.New("not an object"), err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		m := member[T]{name: fmt.Sprint(name)}
		if err := d.Decode(&m.value); err != nil {
			return err
		}
		*o = append(*o, m)
	}
	return nil
}

// resolve returns the schema that s refers to, with the words that stand beside the reference, and its name.
func (d *openAPI) resolve(s *schema) (resolved *schema, name string, err error) {
	if s == nil {
		return &schema{}, "", nil
	}
	if s.Ref == "" {
		return s, "", nil
	}
	name = strings.TrimPrefix(s.Ref, "#/components/schemas/")
	found := d.Components.Schemas[name]
	if found == nil || found.Ref != "" {
		return nil, "", fmt.Errorf("%s names no schema", s.Ref)
	}
	both := *found
	if s.Description != "" {
		both.Description = s.Description
	}
	return &both, name, nil
}

// named returns the reference to the schema of s or, in arrays, of its elements; "" for one without a name.
func (s *schema) named() string {
	for s != nil && s.Ref == "" {
		s = s.Items
	}
	if s == nil {
		return ""
	}
	return s.Ref
}

// answer returns the response that r refers to.
func (d *openAPI) answer(r *response) (*response, error) {
	if r.Ref == "" {
		return r, nil
	}
	found := d.Components.Responses[strings.TrimPrefix(r.Ref, "#/components/responses/")]
	if found == nil {
		return nil, fmt.Errorf("%s names no response", r.Ref)
	}
	return found, nil
}

// field is one field of a body, or a parameter.
type field struct {
	Name, Type, Description, Default string
	Required                         bool
	Depth                            int
	Enum                             []string
}

// fields lists the fields of a schema, those inside of others behind them. within are the names of the schemas around it: one
// that contains itself is not shown again.
func (d *openAPI) fields(s *schema, depth int, within []string) ([]field, error) {
	s, name, err := d.resolve(s)
	if err != nil {
		return nil, err
	}
	if name != "" {
		within = append(within[:len(within):len(within)], name)
	}
	for s.Items != nil {
		if s, name, err = d.resolve(s.Items); err != nil {
			return nil, err
		}
		if name != "" {
			within = append(within[:len(within):len(within)], name)
		}
	}
	var list []field
	for _, p := range s.Properties {
		one, err := d.field(p.name, p.value, within)
		if err != nil {
			return nil, err
		}
		one.Depth = depth
		for _, required := range s.Required {
			one.Required = one.Required || required == p.name
		}
		list = append(list, one)
		if one.recurs(within, p.value) {
			continue
		}
		inner, err := d.fields(p.value, depth+1, within)
		if err != nil {
			return nil, err
		}
		list = append(list, inner...)
	}
	return list, nil
}

// recurs reports whether the schema s of the field is one of those that it is within.
func (f field) recurs(within []string, s *schema) bool {
	for _, name := range within {
		if s.Ref == "#/components/schemas/"+name {
			return true
		}
	}
	return false
}

// field describes one field.
func (d *openAPI) field(name string, s *schema, within []string) (field, error) {
	kind, err := d.kind(s, within)
	if err != nil {
		return field{}, err
	}
	s, _, err = d.resolve(s)
	if err != nil {
		return field{}, err
	}
	f := field{Name: name, Type: kind, Description: s.Description, Default: string(s.Default)}
	if s.Enum != nil {
		if err := json.Unmarshal(s.Enum, &f.Enum); err != nil {
			return field{}, fmt.Errorf("the enum of %s: %w", name, err)
		}
	}
	return f, nil
}

// kind says in a word or two what values of a schema are.
func (d *openAPI) kind(s *schema, within []string) (string, error) {
	resolved, name, err := d.resolve(s)
	switch {
	case err != nil:
		return "", err
	case (field{}).recurs(within, s):
		return "object, as its own " + strings.ToLower(name), nil
	case len(resolved.Type) > 2:
		return "any JSON", nil
	case resolved.Items != nil:
		items, err := d.kind(resolved.Items, within)
		return "array of " + plural(items), err
	case len(resolved.Type) > 0: // oneOf then says which of its fields go together
		return strings.Join(resolved.Type, " or "), nil
	case len(resolved.OneOf) > 0:
		var kinds []string
		for _, one := range resolved.OneOf {
			kind, err := d.kind(one, within)
			if err != nil {
				return "", err
			}
			kinds = append(kinds, kind)
		}
		return strings.Join(kinds, " or "), nil
	}
	return "any JSON", nil
}

// plural returns several of a kind.
func plural(kind string) string {
	words := strings.Split(kind, " or ")
	for i, word := range words {
		if word != "any JSON" {
			words[i] = word + "s"
		}
	}
	return strings.Join(words, " or ")
}
