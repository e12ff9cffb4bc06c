package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
)

// The algorithms of RFC 7518 section 3.1 and RFC 8037 that there are. Which of them a token may use follows from the kind
// of the key, never from the token.
const (
	HS256 = "HS256" // a secret
	RS256 = "RS256" // an RSA key of at least 2048 bits
	ES256 = "ES256" // an ECDSA key on P-256
	EdDSA = "EdDSA" // an Ed25519 key
)

// leastRSA is the least size of an RSA key in bits (RFC 7518 section 3.3).
const leastRSA = 2048

// algorithmOf says which algorithm a public key is for.
func algorithmOf(key crypto.PublicKey) (string, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < leastRSA {
			return "", fmt.Errorf("the RSA key has %d bits, fewer than %d", key.N.BitLen(), leastRSA)
		}
		return RS256, nil
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return "", errors.New("the ECDSA key is not on the curve P-256")
		}
		return ES256, nil
	case ed25519.PublicKey:
		return EdDSA, nil
	default:
		return "", errors.New("the key is neither RSA nor ECDSA nor Ed25519")
	}
}

// parsePEM reads public keys: PUBLIC KEY, RSA PUBLIC KEY and CERTIFICATE blocks, several for rotation. It returns them by
// algorithm. The errors do not repeat the text: it might be a private key.
func parsePEM(text []byte) (map[string][]crypto.PublicKey, error) {
	keys := make(map[string][]crypto.PublicKey)
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		key, err := parseBlock(block)
		if err != nil {
			return nil, err
		}
		algorithm, err := algorithmOf(key)
		if err != nil {
			return nil, err
		}
		keys[algorithm] = append(keys[algorithm], key)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no public key in PEM form")
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (key crypto.PublicKey, err error) {
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = certificate.PublicKey
		}
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY":
		return nil, errors.New("there is a private key where the public one belongs; keep it away from here")
	default:
		return nil, errors.New("there is a PEM block that is neither a PUBLIC KEY nor a CERTIFICATE")
	}
	if err != nil {
		return nil, errors.New("the public key cannot be read")
	}
	return key, nil
}

// narrow returns those of the possible algorithms that are wanted: all of them if none is named.
func narrow(possible, wanted []string) ([]string, error) {
	if len(wanted) == 0 {
		return possible, nil
	}
	for _, name := range wanted {
		if !slices.Contains(possible, name) {
			return nil, fmt.Errorf("the algorithm %q is not one for this kind of key; possible: %q", name, possible)
		}
	}
	return slices.Clone(wanted), nil
}
