package configs

import (
	"errors"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

var (
	errSize   = errors.New("not a size")
	errBool   = errors.New("must be true or false")
	errPrefix = errors.New("must be a network such as 10.0.0.0/8 or 2001:db8::/32, or one address")
)

// sizeUnits are the units of a size, in lower case.
func sizeUnits(unit string) (factor int64, ok bool) {
	switch strings.ToLower(unit) {
	case "", "b":
		return 1, true
	case "kb":
		return 1e3, true
	case "mb":
		return 1e6, true
	case "gb":
		return 1e9, true
	case "kib":
		return 1 << 10, true
	case "mib":
		return 1 << 20, true
	case "gib":
		return 1 << 30, true
	}
	return 0, false
}

// parseSize reads a number of bytes: decimal digits, and perhaps a unit: B, KB, MB, GB (powers of 1000),
// KiB, MiB, GiB (powers of 1024), in any case, after at most one space.
func parseSize(text string) (int64, error) {
	end := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(text)
	}
	n, err := strconv.ParseInt(text[:end], 10, 64)
	if err != nil {
		return 0, errSize
	}
	factor, ok := sizeUnits(strings.TrimPrefix(text[end:], " "))
	if !ok || n > math.MaxInt64/factor {
		return 0, errSize
	}
	return n * factor, nil
}

// formatSize writes a number of bytes in the largest unit of 1024 that divides it.
func formatSize(n int64) string {
	switch {
	case n == 0:
		return "0"
	case n%(1<<30) == 0:
		return strconv.FormatInt(n>>30, 10) + "GiB"
	case n%(1<<20) == 0:
		return strconv.FormatInt(n>>20, 10) + "MiB"
	case n%(1<<10) == 0:
		return strconv.FormatInt(n>>10, 10) + "KiB"
	}
	return strconv.FormatInt(n, 10)
}

// formatDuration writes a duration as Go does, without the zero minutes and seconds at its end.
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// parseBool reads a switch in the spellings of YAML 1.1 and 1.2.
func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return false, errBool
}

// parsePrefix reads a network, or an address as the network of that one address. IPv4 written as IPv6
// becomes IPv4; bits behind the mask become zero.
func parsePrefix(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" {
			return netip.Prefix{}, errPrefix
		}
		prefix = netip.PrefixFrom(address, address.BitLen())
	}
	const mapped = 96 // bits of ::ffff:0:0/96
	if prefix.Addr().Is4In6() {
		if prefix.Bits() < mapped {
			return netip.Prefix{}, errPrefix
		}
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-mapped)
	}
	return prefix.Masked(), nil
}
