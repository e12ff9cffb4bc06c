package configs

import (
	"slices"
	"strings"
)

// known returns the table by key, with an entry for the file of each secret.
func known() map[string]setting {
	table := make(map[string]setting)
	for _, s := range settings() {
		table[s.key] = s
		if s.secret {
			table[s.key+fileKey] = s
		}
	}
	return table
}

// readEnviron takes CRIER_A_B_C for a.b_c, and CRIER_A_B_C_FILE for the file of a secret. An empty
// variable counts as not set: that is how a compose file passes one on that it does not have. others are not looked at.
func readEnviron(environ, others []string) (layer, Mistakes) {
	keys := make(map[string]string) // by name of the variable
	for _, s := range settings() {
		keys[s.env()] = s.key
		if s.secret {
			keys[s.env()+fileEnv] = s.key + fileKey
		}
	}
	names := sortedKeys(keys)
	got := make(layer)
	var mistakes Mistakes
	for _, entry := range environ {
		variable, text, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(variable, envStart) || text == "" {
			continue
		}
		key, ok := keys[variable]
		switch {
		case ok:
			got[key] = given{items: []string{text}, split: true, where: "env " + variable}
		case !isServiceVariable(variable, text) && !slices.Contains(others, variable):
			mistakes = append(mistakes, Mistake{Key: name(variable), Problem: unknown("the environment variable of a setting", variable, names)})
		}
	}
	return got, mistakes
}

// isServiceVariable reports whether a variable is one of those that Kubernetes, and Docker's links, set in
// every container for a service called "crier" or "crier-…": CRIER_SERVICE_HOST, CRIER_PORT=tcp://….
func isServiceVariable(variable, text string) bool {
	if strings.HasSuffix(variable, "_SERVICE_HOST") || strings.HasSuffix(variable, "_SERVICE_PORT") || strings.Contains(variable, "_SERVICE_PORT_") {
		return true
	}
	if strings.HasSuffix(variable, "_PORT") {
		return strings.Contains(text, "://")
	}
	_, number, found := strings.Cut(variable, "_PORT_")
	return found && strings.IndexFunc(number, func(r rune) bool { return r < '0' || r > '9' }) > 0
}

// readFlags takes flags by their names.
func readFlags(flags map[string][]string) (layer, Mistakes) {
	usual := make(map[string]bool)
	for _, f := range Flags() {
		usual[f.Name] = true
	}
	got := make(layer)
	var mistakes Mistakes
	for _, flag := range sortedKeys(flags) {
		switch {
		case !usual[flag]:
			mistakes = append(mistakes, Mistake{Key: "--" + name(flag), Problem: FlagProblem(flag)})
		case len(flags[flag]) > 0:
			got[flag] = given{items: flags[flag], split: true, where: "flag --" + flag}
		}
	}
	return got, mistakes
}

// FlagProblem is what to answer to somebody who tried --name, which is none of Flags; others are the
// flags there are besides those.
func FlagProblem(name string, others ...string) string {
	if s, ok := known()[name]; ok && s.secret {
		return "is not a flag, since every user of the machine can read a command line: use --" + s.key + fileKey + ", " +
			s.env() + fileEnv + " or " + s.env()
	}
	var names []string
	for _, other := range others {
		names = append(names, "--"+other)
	}
	for _, f := range Flags() {
		names = append(names, "--"+f.Name)
	}
	return unknown("a flag", "--"+name, names)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
