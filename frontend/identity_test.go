package frontend

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"

	"gatehouse/backend/h1"
)

// TestHidden: a name is hidden in every spelling that a server may take for it, and no other is.
func TestHidden(t *testing.T) {
	h := NewHidden([]string{"X-SSL-Client-DN", "Client-Cert"})
	for name, want := range map[string]bool{
		"X-SSL-Client-DN": true, "x-ssl-client-dn": true, "X_SSL_CLIENT_DN": true, "X-SSL_Client-DN": true, "X.SSL.Client.DN": true, "x~ssl!client#dn": true,
		"CLIENT_CERT": true, "Client-Cert": true,
		"X-SSL-Client-DN2": false, "X-SSL-Client-D": false, "X-SSL-ClientXDN": false, "Client-Certs": false, "ClientCert": false, "Cookie": false, "": false,
	} {
		if got := h.has([]byte(name)); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
	if NewHidden(nil).has([]byte("X")) {
		t.Error("the empty set has a name")
	}
}

// TestHiddenFieldsAreRemoved: all of them, and nothing else.
func TestHiddenFieldsAreRemoved(t *testing.T) {
	var r h1.Request
	for _, name := range []string{"A", "X-Id", "B", "x_id", "X-ID", "Cookie"} {
		r.Header.AddString(name, "v")
	}
	h := NewHidden([]string{"X-Id"})
	h.remove(&r)
	if got, want := string(r.Header.AppendTo(nil)), "A: v\r\nB: v\r\nCookie: v\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if n := testing.AllocsPerRun(100, func() { h.remove(&r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestIdentityLines: what servers are told, and that no certificate breaks out of its field.
func TestIdentityLines(t *testing.T) {
	cert := &x509.Certificate{
		Subject: pkix.Name{CommonName: "a\r\nX: y\x00é,b"}, Issuer: pkix.Name{CommonName: "ca", Organization: []string{"O"}},
		SerialNumber: big.NewInt(0xabc), Raw: []byte("raw"),
	}
	all := Identity{"V", "S", "I", "N", "F", "C"}
	for _, tt := range []struct {
		name  string
		of    Identity
		shown []*x509.Certificate
		fault error
		want  string
	}{
		{"nobody", all, nil, nil, "V=NONE"},
		{"good", Identity{"V", "S", "I", "N", "", ""}, []*x509.Certificate{cert}, nil, `V=SUCCESS S=CN=a\0D\0AX: y\00\C3\A9\,b I=CN=ca,O=O N=0ABC`},
		{"the whole of it", Identity{Certificate: "C"}, []*x509.Certificate{cert}, nil, "C=:cmF3:"},
		{"bad", Identity{"V", "S", "I", "N", "", "C"}, []*x509.Certificate{cert}, errors.New("no\r\nway"), "V=FAILED:no??way C=:cmF3:"},
		{"bad, at length", Identity{Verify: "V"}, []*x509.Certificate{cert}, errors.New(strings.Repeat("x", 1000)), "V=FAILED:" + strings.Repeat("x", maxReason)},
		{"not named", Identity{}, []*x509.Certificate{cert}, nil, ""},
	} {
		var got []string
		for _, l := range tt.of.lines(tt.shown, tt.fault) {
			got = append(got, l.name+"="+l.value)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, s, tt.want)
		}
	}
	if l := (&Identity{Fingerprint: "F"}).lines([]*x509.Certificate{cert}, nil); len(l) != 1 || l[0].value != "d7439bee24773bcbfa2d0a97947ee36227b10d1022b1a55847e928965bb6bfde" {
		t.Errorf("fingerprint %v", l)
	}
}

// TestIsHost: a request's host against the name in a hello.
func TestIsHost(t *testing.T) {
	for _, tt := range []struct {
		host, name string
		want       bool
	}{
		{"a.test", "a.test", true}, {"A.Test", "a.tesT", true}, {"a.test:443", "a.test", true}, {"a.test.", "a.test", true}, {"a.test.:443", "a.test", true},
		{"b.a.test", "a.test", false}, {"a.tes", "a.test", false}, {"", "a.test", false}, {"[::1]:443", "a.test", false},
	} {
		if got := isHost([]byte(tt.host), tt.name); got != tt.want {
			t.Errorf("%q, %q: %v", tt.host, tt.name, got)
		}
	}
}
