package tlsconf

import (
	"crypto/tls"
	"fmt"
)

// Choices of the two enums, in the order of their values.
var profiles = [...]string{Intermediate: "intermediate", Modern: "modern"}

// suites are the cipher suites of Mozilla's guideline 6.0, "intermediate", for TLS 1.2. Those of TLS 1.3 are all good and not up
// for choice. [https://wiki.mozilla.org/Security/Server_Side_TLS]
var suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// groups are the key exchanges of both profiles. Go's own list has P-521 as well, which the guideline leaves out.
var groups = []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384}

// String returns the word of the configuration.
func (p Profile) String() string {
	if int(p) < len(profiles) {
		return profiles[p]
	}
	return fmt.Sprintf("Profile(%d)", uint8(p))
}

// MarshalText is String.
func (p Profile) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads "intermediate" or "modern".
func (p *Profile) UnmarshalText(b []byte) error {
	for i, word := range profiles {
		if string(b) == word {
			*p = Profile(i)
			return nil
		}
	}
	if string(b) == "old" {
		return fmt.Errorf(`profile "old" needs TLS 1.0, which is not served: choose "intermediate" or "modern"`)
	}
	return fmt.Errorf(`unknown profile %q: choose "intermediate" or "modern"`, b)
}

// String returns the word of the configuration, "" for the profile's own version.
func (v Version) String() string {
	switch v {
	case 0:
		return ""
	case tls.VersionTLS12:
		return "1.2"
	case tls.VersionTLS13:
		return "1.3"
	}
	return tls.VersionName(uint16(v))
}

// MarshalText is String.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads "1.2" or "1.3".
func (v *Version) UnmarshalText(b []byte) error {
	switch string(b) {
	case "1.2":
		*v = tls.VersionTLS12
	case "1.3":
		*v = tls.VersionTLS13
	default:
		return fmt.Errorf(`TLS version %q is not served: choose "1.2" or "1.3"`, b)
	}
	return nil
}

// minVersion is the oldest version c serves: the stricter of profile and min_version.
func (c *Config) minVersion() uint16 {
	oldest := uint16(tls.VersionTLS12)
	if c.Profile == Modern {
		oldest = tls.VersionTLS13
	}
	return max(oldest, uint16(c.MinVersion))
}

// serverConfig is the part of a tls.Config that follows from the profile alone.
func (c *Config) serverConfig() *tls.Config {
	return &tls.Config{
		MinVersion:       c.minVersion(),
		CipherSuites:     suites,
		CurvePreferences: groups,
		// Whole answers are gathered above the record layer: the small first records crypto/tls would make cost system calls.
		DynamicRecordSizingDisabled: true,
	}
}
