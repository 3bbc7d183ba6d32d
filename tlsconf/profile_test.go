package tlsconf

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
)

func TestProfileText(t *testing.T) {
	for _, word := range []string{"intermediate", "modern"} {
		var p Profile
		if err := p.UnmarshalText([]byte(word)); err != nil || p.String() != word {
			t.Errorf("%q: got %v, %v", word, p, err)
		}
	}
	for _, word := range []string{"", "Modern", "old", "strong"} {
		var p Profile
		if err := p.UnmarshalText([]byte(word)); err == nil || !strings.Contains(err.Error(), `choose "intermediate" or "modern"`) {
			t.Errorf("%q: got %v, want an error with the choices", word, err)
		}
	}
}

func TestVersionText(t *testing.T) {
	for word, want := range map[string]Version{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		var v Version
		if err := v.UnmarshalText([]byte(word)); err != nil || v != want || v.String() != word {
			t.Errorf("%q: got %v, %v", word, v, err)
		}
	}
	for _, word := range []string{"", "1.1", "TLSv1.2", "3"} {
		var v Version
		if err := v.UnmarshalText([]byte(word)); err == nil || !strings.Contains(err.Error(), `choose "1.2" or "1.3"`) {
			t.Errorf("%q: got %v, want an error with the choices", word, err)
		}
	}
}

// TestProfilesServe: what clients of each version get, and that nothing outside Mozilla's guideline 6.0 is agreed on.
func TestProfilesServe(t *testing.T) {
	m := mint(nil, newKey("RSA"), nil, "a.test")
	for _, tt := range []struct {
		name   string
		c      Config
		client *tls.Config
		want   uint16 // 0: refused
		curve  tls.CurveID
	}{
		{"intermediate, new client", Config{}, &tls.Config{}, tls.VersionTLS13, tls.X25519MLKEM768},
		{"intermediate, 1.2", Config{}, &tls.Config{MaxVersion: tls.VersionTLS12}, tls.VersionTLS12, tls.X25519},
		{"intermediate, 1.1", Config{}, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, 0, 0},
		{"intermediate, CBC", Config{}, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}}, 0, 0},
		{"intermediate, RSA key exchange", Config{}, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, 0, 0},
		{"intermediate, P-384 only", Config{}, &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP384}}, tls.VersionTLS13, tls.CurveP384},
		{"intermediate, P-521 only", Config{}, &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP521}}, 0, 0},
		{"min_version 1.3", Config{MinVersion: tls.VersionTLS13}, &tls.Config{MaxVersion: tls.VersionTLS12}, 0, 0},
		{"modern", Config{Profile: Modern}, &tls.Config{}, tls.VersionTLS13, tls.X25519MLKEM768},
		{"modern, 1.2", Config{Profile: Modern}, &tls.Config{MaxVersion: tls.VersionTLS12}, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.c.Certificate = m.write(t, t.TempDir(), "a.pem")
			certs := serve(t, &tt.c)
			tt.client.ServerName, tt.client.RootCAs = "a.test", m.pool()
			cs, err, _ := shake(t, certs.Config(), tt.client)
			if tt.want == 0 {
				if err == nil {
					t.Fatalf("served with %s, %s", tls.VersionName(cs.Version), tls.CipherSuiteName(cs.CipherSuite))
				}
				return
			}
			if err != nil || cs.Version != tt.want || cs.CurveID != tt.curve {
				t.Errorf("got %s, %v, %v; want %s, %v", tls.VersionName(cs.Version), cs.CurveID, err, tls.VersionName(tt.want), tt.curve)
			}
		})
	}
}

// TestIntermediateSuites: exactly the six suites of the guideline.
func TestIntermediateSuites(t *testing.T) {
	m := mint(nil, newKey("RSA"), nil, "a.test")
	e := mint(nil, newKey(""), nil, "a.test")
	dir := t.TempDir()
	m.write(t, dir, "a.pem")
	e.write(t, dir, "b.pem")
	certs := serve(t, &Config{Certificate: dir})
	var got []string
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if !slices.Contains(s.SupportedVersions, tls.VersionTLS12) {
			continue
		}
		client := &tls.Config{ServerName: "a.test", InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{s.ID}}
		if _, err, _ := shake(t, certs.Config(), client); err == nil {
			got = append(got, s.Name)
		}
	}
	slices.Sort(got)
	want := []string{
		"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
		"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
