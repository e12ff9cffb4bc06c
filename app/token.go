package app

import (
	"errors"
	"fmt"
	"time"

	"crier/api/auth"
	"crier/configs"
	"crier/io/hub"
)

// ErrNoSecret means that the settings have nothing that tokens could be signed with.
var ErrNoSecret = errors.New("auth.jwt.secret is not set, and only with that can Crier sign tokens")

// Token signs a token for a client under the settings of auth.jwt; the server with those lets it in. The rooms
// are those that the client may enter where rooms.client_join is token. Apart from [ErrNoSecret] the errors are
// mistakes in uid and rooms.
func Token(cfg *configs.Config, uid string, rooms []string, expires time.Time) (string, error) {
	j := cfg.Auth.JWT
	switch {
	case j.Secret != "":
	case j.PublicKey != "" || j.JWKS != "":
		return "", fmt.Errorf("%w: the private key that belongs to auth.jwt.public_key or .jwks, which signs them here, is kept elsewhere; sign there", ErrNoSecret)
	default:
		return "", fmt.Errorf("%w: set it and auth.mode jwt as on the server, in its file, or with CRIER_AUTH_JWT_SECRET_FILE and CRIER_AUTH_MODE", ErrNoSecret)
	}
	if err := hub.CheckUID(uid); err != nil {
		return "", err
	}
	for _, room := range rooms {
		if hub.CheckUID(room) != nil { // rooms are named as users are
			return "", hub.ErrBadRoom
		}
	}
	sign := auth.SignOptions{Secret: j.Secret, Issuer: j.Issuer}
	if len(j.Audience) > 0 {
		sign.Audience = j.Audience[0] // one of them is enough
	}
	return auth.Sign(sign, auth.Identity{UID: uid, Rooms: rooms, Expires: expires})
}
