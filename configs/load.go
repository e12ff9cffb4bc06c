package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DefaultFile is read from the working directory if it is there and no other file is named.
const DefaultFile = "crier.yaml"

// mostSecrets is how large a file of secrets may be, in bytes.
const mostSecrets = 64 << 10

// Sources is where settings come from. Later fields win over earlier ones.
type Sources struct {
	File    string              // the YAML file, which must exist; empty: DefaultFile, if it exists
	Environ []string            // as of os.Environ; variables that do not start with CRIER_, or are empty, are not looked at
	Others  []string            // variables that start with CRIER_ and are no settings
	Flags   map[string][]string // by Flag.Name, as often as each was given; the last counts, for lists all
}

// Loaded is the outcome of Load.
type Loaded struct {
	Config *Config
	File   string // the YAML file that was read, or ""

	from map[string]string // where a setting comes from; without an entry, it is the default
}

// given is what one layer says about a key.
type given struct {
	items   []string
	entries []entry // of api.keys, besides the items
	split   bool    // items are to be split at commas if the setting is a list
	where   string
}

// layer is what one source says, by key; "api.keys_file" stands by itself.
type layer map[string]given

// Load merges defaults, file, environment and flags and checks everything. The error is Mistakes: every
// one there is. Secrets are read from the files that are named for them, relative to the working directory.
func Load(src Sources) (*Loaded, error) {
	l := &Loaded{Config: Default(), from: make(map[string]string)}
	file, mistakes := l.readFile(src.File)
	env, more := readEnviron(src.Environ, src.Others)
	mistakes = append(mistakes, more...)
	flags, more := readFlags(src.Flags)
	mistakes = append(mistakes, more...)

	bad := make(map[string]bool)
	for _, m := range mistakes {
		bad[settingOf(m.Key)] = true
	}
	for _, s := range settings() {
		for _, layer := range []layer{file, env, flags} {
			found := l.apply(s, layer)
			bad[s.key] = bad[s.key] || found != nil
			mistakes = append(mistakes, found...)
		}
	}
	mistakes = append(mistakes, l.combine(bad)...)
	if mistakes != nil {
		return nil, mistakes
	}
	return l, nil
}

// settingOf is the setting that the key of a mistake is about.
func settingOf(key string) string {
	if strings.HasPrefix(key, keysKey+".") {
		return keysKey
	}
	return strings.TrimSuffix(key, fileKey)
}

// apply stores what a layer says about a setting, if anything.
func (l *Loaded) apply(s setting, layer layer) Mistakes {
	got, ok := layer[s.key]
	path, inFile := layer[s.key+fileKey]
	switch {
	case ok && inFile:
		return Mistakes{{Key: s.key, Problem: "is given twice, by itself and as a file: give one of them", Where: got.where + " and " + path.where}}
	case inFile:
		file := strings.TrimSpace(path.items[len(path.items)-1])
		secrets, err := readSecrets(file)
		if err != nil {
			return Mistakes{{s.key + fileKey, quotedSecretPath(file), err.Error(), path.where}}
		}
		if len(secrets) > 1 && !s.at(l.Config).list() {
			return Mistakes{{s.key + fileKey, quotedSecretPath(file), "holds several lines, but there is only one such secret", path.where}}
		}
		got = given{items: secrets, where: path.where}
	case !ok:
		return nil
	case got.entries != nil:
		return l.applyEntries(got)
	}

	field := s.at(l.Config)
	items := got.items
	if field.list() && got.split {
		items = splitList(items)
	}
	if !field.list() {
		items = []string{strings.TrimSpace(items[len(items)-1])}
	}
	faults := field.set(items)
	if faults == nil {
		l.from[s.key] = got.where
		return nil
	}
	mistakes := make(Mistakes, 0, len(faults))
	for _, fault := range faults {
		m := Mistake{s.key, "", fault.problem, got.where}
		if len(items) > 0 {
			m.Value = s.quoted(fault.item)
		}
		mistakes = append(mistakes, m)
	}
	return mistakes
}

// splitList takes comma-separated lists apart; blanks around items, and empty items, do not count.
func splitList(lists []string) []string {
	var items []string
	for _, list := range lists {
		for item := range strings.SplitSeq(list, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
	}
	return items
}

// readSecrets reads a file of secrets, one a line; blank lines do not count.
func readSecrets(path string) (secrets []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", reason(err))
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err := io.ReadAll(io.LimitReader(f, mostSecrets+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", reason(err))
	}
	if len(data) > mostSecrets {
		return nil, fmt.Errorf("is larger than %s: a file of secrets has one a line", formatSize(mostSecrets))
	}
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			secrets = append(secrets, string(line))
		}
	}
	if secrets == nil {
		return nil, errors.New("holds no secret: write one a line")
	}
	return secrets, nil
}

// quotedSecretPath shows a path that could not be read only if it cannot be the secret itself, put where
// its file belongs.
func quotedSecretPath(path string) string {
	if filepath.IsAbs(path) {
		return quote(path)
	}
	return mask
}

// reason takes the path off an error of os, for lines that name it already.
func reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// combine checks the settings against each other, where each of them is right by itself.
func (l *Loaded) combine(bad map[string]bool) Mistakes {
	var mistakes Mistakes
	for _, r := range rules() {
		if slices.ContainsFunc(r.keys, func(key string) bool { return bad[key] }) {
			continue
		}
		if problem := r.broken(l.Config); problem != "" {
			mistakes = append(mistakes, l.mistake(r.keys[0], problem))
		}
	}
	return mistakes
}

// mistake is what is wrong with the merged value of a setting.
func (l *Loaded) mistake(key, problem string) Mistake {
	m := Mistake{Key: key, Problem: problem, Where: l.origin(key)}
	for _, s := range settings() {
		if s.key == key {
			m.Value = s.quoted(strings.Join(s.at(l.Config).items(), ","))
		}
	}
	return m
}

// origin tells where the value of a setting comes from.
func (l *Loaded) origin(key string) string {
	if where, ok := l.from[key]; ok {
		return where
	}
	return "default"
}
