package configs

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// mask stands for a secret wherever settings are shown.
const mask = "****"

// whsecPrefix begins a webhook secret of the Standard Webhooks form; base64 of the key follows.
const whsecPrefix = "whsec_"

var (
	errAddress   = errors.New("must be an address to listen on, such as :2120, 127.0.0.1:2120 or [::1]:2120")
	errPath      = errors.New("must be a path that begins and ends with a slash, such as /socket.io/")
	errNamespace = errors.New("must be a namespace that begins with a slash, such as /chat, without a comma or a question mark; / itself is always there")
	errOrigin    = errors.New("must be an origin as browsers send it, such as https://shop.example.com or app://localhost, without a path; or null; or * for all")
	errHost      = errors.New("must be a host name or an address without a scheme, a port or a path, such as push.internal")
	errURL       = errors.New("must be an http:// or https:// address, such as https://shop.example.com/crier-events")
	errFilePath  = errors.New("must be the path of a file")
	errAPIKey    = errors.New("must be at most 512 visible ASCII characters without a space")
	errMask      = errors.New("is the mask that config print shows, not a secret")
	errWhsec     = errors.New("must have base64 behind whsec_")
	errJWTSecret = errors.New("must be at most 4096 bytes of text without control characters")
	errPublicKey = errors.New("must be the path of a PEM file, or PEM text that begins with -----BEGIN PUBLIC KEY----- or -----BEGIN CERTIFICATE-----")
	errPrivate   = errors.New("is a private key: the public one belongs here, and the private one nowhere near")
	errAlgorithm = errors.New("must be a list of HS256, RS256, ES256 or EdDSA")
	errClaim     = errors.New("must be at most 1024 bytes of text without control characters")
	errForwarded = errors.New("must be the name of an event that your pages emit: at most 255 bytes of text, " +
		"and none of those that Socket.IO or Crier handles itself (connect, connect_error, disconnect, disconnecting, error, newListener, removeListener, login, logout, subscribe, unsubscribe)")
	errRedisURL = errors.New("must be redis:// or rediss:// (for TLS), then [[user]:password@]host[:port][/database]; " +
		"in user and password, what is no letter or digit is written as in any URL, such as %40 for @")
	errSentinel      = errors.New("must be the host and port of a Sentinel, such as 10.0.0.7:26379")
	errRedisPassword = errors.New("must be at most 512 bytes of text without control characters")
	errKeyPrefix     = errors.New("must be 1 to 64 visible ASCII characters, such as crier")
	errNode          = errors.New("must be at most 64 letters, digits, dots, hyphens and underscores, such as web-1")
	errAdvertise     = errors.New("must be http:// or https://, then host:port of this server as the others see it, such as http://10.0.0.7:2120")
	errEmitterPrefix = errors.New("must be 1 to 255 bytes of text without control characters and without #, such as socket.io")

	errSecret = errors.New("must be whsec_ and base64, or at most 512 bytes of text without control characters")
)

// parseAddress checks host:port; the host may be empty, the port must be a number.
func parseAddress(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", errAddress
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return "", errAddress
	}
	if host != "" && !isHost(host) {
		return "", errAddress
	}
	return text, nil
}

// isHost reports whether text is an IP address or can be a host name: letters, digits, hyphens, dots,
// and the underscores of container networks.
func isHost(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	if text == "" || len(text) > 253 || strings.HasPrefix(text, ".") || strings.Contains(text, "..") {
		return false
	}
	return strings.IndexFunc(text, func(r rune) bool {
		return !isAlphanumeric(r) && r != '-' && r != '.' && r != '_'
	}) < 0
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// parseHost checks a name for the Host header and brings it into lower case.
func parseHost(text string) (string, error) {
	if !isHost(text) {
		return "", errHost
	}
	return strings.ToLower(text), nil
}

// parseOrigin checks an entry of origins (RFC 6454 §6.2): a scheme and a host in lower case, a port unless
// it is the scheme's own; "null"; "*".
func parseOrigin(text string) (string, error) {
	if text == "*" || text == "null" {
		return text, nil
	}
	u, err := url.Parse(text)
	if err != nil || !strings.Contains(text, "://") || u.Scheme == "" ||
		u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#") {
		return "", errOrigin
	}
	if !isHost(u.Hostname()) || strings.HasSuffix(u.Host, ":") {
		return "", errOrigin
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == "http" {
		host = strings.TrimSuffix(host, ":80")
	}
	if u.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	}
	return u.Scheme + "://" + host, nil
}

// parsePath checks the path of the Socket.IO endpoint: clean, of plain characters, within slashes.
func parsePath(text string) (string, error) {
	if len(text) < 3 || path.Clean(text)+"/" != text || text[0] != '/' {
		return "", errPath
	}
	if strings.IndexFunc(text, func(r rune) bool { return !isAlphanumeric(r) && !strings.ContainsRune("/-._~", r) }) >= 0 {
		return "", errPath
	}
	return text, nil
}

// parseNamespace checks the name of a Socket.IO namespace besides "/".
func parseNamespace(text string) (string, error) {
	if len(text) < 2 || text[0] != '/' || strings.ContainsAny(text, ",?") || !isPrintable(text) {
		return "", errNamespace
	}
	return text, nil
}

// isPrintable reports whether text is UTF-8 without control characters.
func isPrintable(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) < 0
}

// parseFilePath checks a path, which may be empty; whether the file can be read shows when it is used.
func parseFilePath(text string) (string, error) {
	if strings.ContainsRune(text, 0) {
		return "", errFilePath
	}
	return text, nil
}

// inMemory says that there is no store; an empty path does too, but not in the environment.
const inMemory = "memory"

// parseStorePath checks the path of the store.
func parseStorePath(text string) (string, error) {
	if text == inMemory {
		return "", nil
	}
	return parseFilePath(text)
}

// parseURL checks where callbacks go; empty is nowhere.
func parseURL(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Fragment != "" {
		return "", errURL
	}
	if port := u.Port(); port != "" {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return "", errURL
		}
	}
	return text, nil
}

// parseAPIKey checks a bearer key: what an HTTP header can carry.
func parseAPIKey(text string) (string, error) {
	if text == mask {
		return "", errMask
	}
	if text == "" || len(text) > 512 || strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return "", errAPIKey
	}
	return text, nil
}

// parseWebhookSecret checks a signing secret: whsec_ and base64 as Standard Webhooks writes them, or any
// other text, whose bytes are the key.
func parseWebhookSecret(text string) (string, error) {
	if text == mask {
		return "", errMask
	}
	if encoded, ok := strings.CutPrefix(text, whsecPrefix); ok {
		if key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "=")); err != nil || len(key) == 0 {
			return "", errWhsec
		}
		return text, nil
	}
	if text == "" || len(text) > 512 || !isPrintable(text) {
		return "", errSecret
	}
	return text, nil
}

// parseJWTSecret checks the key of HS256, which may be empty.
func parseJWTSecret(text string) (string, error) {
	if text == mask {
		return "", errMask
	}
	if len(text) > 4096 || !isPrintable(text) {
		return "", errJWTSecret
	}
	return text, nil
}

// parsePublicKey checks a path, or PEM text, of which the lines may be separated by \n as the environment has it.
func parsePublicKey(text string) (string, error) {
	if !strings.HasPrefix(text, pemStart) {
		if strings.ContainsAny(text, "\x00\n") {
			return "", errPublicKey
		}
		return text, nil
	}
	text = strings.ReplaceAll(text, `\n`, "\n")
	switch block, _ := pem.Decode([]byte(text)); {
	case isPrivate(text):
		return "", errPrivate
	case block == nil:
		return "", errPublicKey
	}
	return text, nil
}

// pemStart begins PEM text.
const pemStart = "-----BEGIN "

// isPrivate reports whether PEM text has a private key in it, which is not to be shown.
func isPrivate(text string) bool { return strings.Contains(text, "PRIVATE KEY-----") }

// parseAlgorithm checks the name of a token's algorithm (RFC 7518 section 3.1).
func parseAlgorithm(text string) (string, error) {
	if !slices.Contains([]string{"HS256", "RS256", "ES256", "EdDSA"}, text) {
		return "", errAlgorithm
	}
	return text, nil
}

// parseClaim checks what a token must say.
func parseClaim(text string) (string, error) {
	if len(text) > 1024 || !isPrintable(text) {
		return "", errClaim
	}
	return text, nil
}

// parseForwarded checks the name of an event that is forwarded.
func parseForwarded(text string) (string, error) {
	taken := []string{
		"connect", "connect_error", "disconnect", "disconnecting", "error", "newListener", "removeListener",
		"login", "logout", "subscribe", "unsubscribe",
	}
	if text == "" || len(text) > 255 || !isPrintable(text) || slices.Contains(taken, text) {
		return "", errForwarded
	}
	return text, nil
}

// parseRedisURL checks the address of Redis; empty is none. The value itself is not shown: it may have a password.
func parseRedisURL(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if text == mask {
		return "", errMask
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || !isHost(u.Hostname()) || u.RawQuery != "" || u.Fragment != "" {
		return "", errRedisURL
	}
	if port := u.Port(); port != "" {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return "", errRedisURL
		}
	}
	if database := strings.Trim(u.Path, "/"); database != "" {
		if _, err := strconv.ParseUint(database, 10, 31); err != nil {
			return "", errRedisURL
		}
	}
	return text, nil
}

// parseSentinel checks host:port.
func parseSentinel(text string) (string, error) {
	host, _, err := net.SplitHostPort(text)
	if err != nil || host == "" {
		return "", errSentinel
	}
	if _, err := parseAddress(text); err != nil {
		return "", errSentinel
	}
	return text, nil
}

// parseRedisPassword checks a password, which may be empty.
func parseRedisPassword(text string) (string, error) {
	if text == mask {
		return "", errMask
	}
	if len(text) > 512 || !isPrintable(text) {
		return "", errRedisPassword
	}
	return text, nil
}

// parseKeyPrefix checks what the names of keys begin with.
func parseKeyPrefix(text string) (string, error) {
	if text == "" || len(text) > 64 || strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return "", errKeyPrefix
	}
	return text, nil
}

// parseNode checks the name of a server, which may be empty.
func parseNode(text string) (string, error) {
	if len(text) > 64 || strings.IndexFunc(text, func(r rune) bool { return !isAlphanumeric(r) && !strings.ContainsRune(".-_", r) }) >= 0 {
		return "", errNode
	}
	return text, nil
}

// parseAdvertise checks where the other servers reach this one; empty is nowhere in particular.
func parseAdvertise(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !isHost(u.Hostname()) || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(u.Host, ":") {
		return "", errAdvertise
	}
	if port := u.Port(); port != "" {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return "", errAdvertise
		}
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsUnspecified() {
		return "", errAdvertise
	}
	return u.Scheme + "://" + u.Host, nil
}

// parseEmitterPrefix checks what channels begin with.
func parseEmitterPrefix(text string) (string, error) {
	if text == "" || len(text) > 255 || !isPrintable(text) || strings.Contains(text, "#") {
		return "", errEmitterPrefix
	}
	return text, nil
}
