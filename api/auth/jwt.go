package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxToken is how long a token may be, in bytes.
const maxToken = 16 << 10

// JWTOptions are the settings of a [JWT]. Exactly one of Secret, PublicKey and JWKS must be given.
type JWTOptions struct {
	// Secret checks HS256; its bytes are the key.
	Secret string
	// PublicKey is PEM text with one public key or certificate or more: RSA for RS256, P-256 for ES256, Ed25519 for EdDSA.
	PublicKey []byte
	// JWKS is the URL of a JSON Web Key Set (RFC 7517) with such keys. It is fetched at once and every hour, and when a
	// token names a key that is not in it.
	JWKS string
	// Algorithms are fewer than what the keys make possible. Empty: all of those.
	Algorithms []string
	// Issuer is what iss must be, and Audience what aud must have one of. Empty: not checked.
	Issuer   string
	Audience []string
	// Leeway is how far the issuer's clock may be ahead: it is granted to nbf. exp is exact. Not negative.
	Leeway time.Duration
	// Logger is told when the JWKS cannot be had. Nil: nothing is logged.
	Logger *slog.Logger
}

// JWT checks tokens (RFC 7519): the user is the claim sub, a string or an integer; rooms, an array of strings, may name
// the rooms that the client may enter; exp is required. All its methods may be called by many goroutines at once.
type JWT struct {
	parser  *jwt.Parser
	key     func(ctx context.Context, t *jwt.Token) (any, error)
	fetched *keySet // nil without JWKS
}

// claims are those of a token.
type claims struct {
	jwt.RegisteredClaims
	Subject uidText  `json:"sub"` // in the place of RegisteredClaims.Subject
	Rooms   []string `json:"rooms"`
}

// UnmarshalJSON implements [json.Unmarshaler]. Names of claims are case-sensitive (RFC 7519 section 10.1.1), and encoding/json
// alone would take a "Sub", which the issuer may leave to its users, for sub.
func (c *claims) UnmarshalJSON(data []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	maps.DeleteFunc(all, func(name string, _ json.RawMessage) bool {
		return !slices.Contains([]string{"iss", "sub", "aud", "exp", "nbf", "rooms"}, name)
	})
	known, err := json.Marshal(all)
	if err != nil {
		return err
	}
	type plain claims
	return json.Unmarshal(known, (*plain)(c))
}

// GetSubject implements [jwt.Claims].
func (c claims) GetSubject() (string, error) { return string(c.Subject), nil }

// NewJWT returns a JWT; the caller must call [JWT.Close] in the end. It does not wait for the JWKS. No error has a part of
// a key in it.
func NewJWT(o JWTOptions) (*JWT, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Leeway < 0 {
		return nil, errors.New("checking tokens: the leeway is negative")
	}
	j := &JWT{}
	possible, err := j.setKeys(o)
	if err != nil {
		return nil, fmt.Errorf("checking tokens: %w", err)
	}
	algorithms, err := narrow(possible, o.Algorithms)
	if err != nil {
		return nil, fmt.Errorf("checking tokens: %w", err)
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(algorithms), jwt.WithExpirationRequired(), jwt.WithLeeway(o.Leeway), jwt.WithStrictDecoding(),
	}
	if o.Issuer != "" {
		options = append(options, jwt.WithIssuer(o.Issuer))
	}
	if len(o.Audience) > 0 {
		options = append(options, jwt.WithAudience(o.Audience...))
	}
	j.parser = jwt.NewParser(options...)
	if j.fetched != nil {
		j.fetched.start()
	}
	return j, nil
}

// setKeys sets where keys come from and returns the algorithms that those make possible. A secret is never offered to
// anything but HS256, nor a public key to that: a token cannot choose between them.
func (j *JWT) setKeys(o JWTOptions) (possible []string, err error) {
	given := 0
	for _, is := range []bool{o.Secret != "", len(o.PublicKey) > 0, o.JWKS != ""} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, errors.New("exactly one of a secret, a public key and a JWKS is needed")
	case o.Secret != "":
		secret := []byte(o.Secret)
		j.key = func(context.Context, *jwt.Token) (any, error) { return secret, nil }
		return []string{HS256}, nil
	case o.JWKS != "":
		if j.fetched, err = newKeySet(o.JWKS, o.Logger); err != nil {
			return nil, err
		}
		j.key = j.fetched.key
		return []string{RS256, ES256, EdDSA}, nil
	}
	keys, err := parsePEM(o.PublicKey)
	if err != nil {
		return nil, err
	}
	sets := make(map[string]jwt.VerificationKeySet, len(keys))
	for algorithm, list := range keys {
		var set jwt.VerificationKeySet
		for _, key := range list {
			set.Keys = append(set.Keys, key)
		}
		sets[algorithm] = set
	}
	j.key = func(_ context.Context, t *jwt.Token) (any, error) { return sets[t.Method.Alg()], nil }
	return slices.Sorted(maps.Keys(sets)), nil
}

// Authenticate checks the token of r. r.UID is not looked at. The error wraps [ErrRefused], [ErrExpired] or, when the keys
// cannot be had, [ErrUnavailable]. ctx bounds the wait for keys.
func (j *JWT) Authenticate(ctx context.Context, r Request) (Identity, error) {
	if len(r.Token) > maxToken {
		return Identity{}, refused("it is too long")
	}
	if strings.ContainsAny(r.Token, "\r\n") { // which base64 would pass over
		return Identity{}, refused("it is malformed")
	}
	var c claims
	_, err := j.parser.ParseWithClaims(r.Token, &c, func(t *jwt.Token) (any, error) {
		if _, critical := t.Header["crit"]; critical { // RFC 7515 section 4.1.11: nothing of that is understood here
			return nil, errCritical
		}
		return j.key(ctx, t)
	})
	if err != nil {
		return Identity{}, translate(err)
	}
	expires := c.ExpiresAt.Time
	switch {
	case !time.Now().Before(expires): // within the leeway
		return Identity{}, expired("its exp has passed")
	case c.Subject == "":
		return Identity{}, refused("it has no sub")
	}
	return Identity{UID: string(c.Subject), Rooms: c.Rooms, Expires: expires}, nil
}

// Ready waits until there are keys that check tokens. It fails with [ErrUnavailable], if the JWKS cannot be had or ctx ends.
func (j *JWT) Ready(ctx context.Context) error {
	if j.fetched != nil && !j.fetched.refresh(ctx, keysAtMost) {
		return unavailable("the JWKS could not be fetched")
	}
	return nil
}

// Refresh has the JWKS fetched now, if there is one, and does not wait for it. The keys in force stay if that fails.
func (j *JWT) Refresh() {
	if j.fetched != nil {
		j.fetched.begin(0)
	}
}

// Close ends the fetching of keys and waits for that.
func (j *JWT) Close() {
	if j.fetched != nil {
		j.fetched.close()
	}
}

var errCritical = errors.New("critical header parameters")

// translate says in words of its own what the parser found, since its errors quote from the token.
func translate(err error) error {
	switch {
	case errors.Is(err, ErrUnavailable):
		return unavailable("the keys that check tokens could not be fetched")
	case errors.Is(err, errCritical):
		return refused("it has critical header parameters (crit)")
	case errors.Is(err, errUnknownKey):
		return refused("its key (kid) is unknown")
	case errors.Is(err, jwt.ErrTokenMalformed):
		return refused("it is malformed")
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return refused("its signature is wrong, or of another algorithm")
	case errors.Is(err, jwt.ErrTokenUnverifiable):
		return refused("its algorithm is none of those accepted")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return refused("a claim is missing: exp, or the iss or aud that is expected")
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return refused("its issuer (iss) is another one")
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return refused("its audience (aud) is another one")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return refused("it is not valid yet (nbf)")
	case errors.Is(err, jwt.ErrTokenExpired): // the last: nothing else is wrong with it
		return expired("its exp has passed")
	default:
		return refused("its claims are wrong")
	}
}

// SignOptions says how [Sign] makes a token.
type SignOptions struct {
	Secret   string // as in JWTOptions
	Issuer   string // iss; may be empty
	Audience string // aud; may be empty
}

// Sign makes an HS256 token for a client, which a [JWT] with the same secret takes. id.Expires is needed.
func Sign(o SignOptions, id Identity) (string, error) {
	if o.Secret == "" || id.UID == "" || id.Expires.IsZero() {
		return "", errors.New("signing a token: a secret, a uid and an expiry are needed")
	}
	c := jwt.MapClaims{"sub": id.UID, "iat": time.Now().Unix(), "exp": id.Expires.Unix()}
	if len(id.Rooms) > 0 {
		c["rooms"] = id.Rooms
	}
	if o.Issuer != "" {
		c["iss"] = o.Issuer
	}
	if o.Audience != "" {
		c["aud"] = o.Audience
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString([]byte(o.Secret))
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return token, nil
}
