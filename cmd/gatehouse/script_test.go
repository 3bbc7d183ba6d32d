package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"math/big"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var updateScripts = flag.Bool("update", false, "write what the commands print into the scripts")

// TestMain lets the scripts call this program as gatehouse.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gatehouse": main})
}

// TestScripts plays the command lines in testdata/script.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *updateScripts,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":       await,
			"certificate": certificate,
			"exits":       exits,
			"signal":      sendSignal,
		},
	})
}

// certificate writes a PEM file with a fresh key and a certificate: certificate FILE NAME.
func certificate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: certificate FILE NAME")
	}
	text, err := freshPair(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}

// freshPair makes a certificate and its key, in PEM.
func freshPair(name string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(90 * 24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), nil
}

// exits runs a program and compares its exit code: exits CODE PROGRAM WORD... . What it prints can be looked at as after exec.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM WORD...")
	}
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if want, err := strconv.Atoi(args[0]); err != nil || got != want {
		ts.Fatalf("%v exits with %d, want %s", args[1:], got, args[0])
	}
}

func TestSingleDashFlags(t *testing.T) {
	root := rootCommand()
	for _, c := range []struct{ in, want []string }{
		{[]string{"fmt", "-check", "-diff", "a.hcl"}, []string{"fmt", "--check", "--diff", "a.hcl"}},
		{[]string{"fmt", "-check=false"}, []string{"fmt", "--check=false"}},
		{[]string{"fmt", "-"}, []string{"fmt", "-"}},
		{[]string{"fmt", "--", "-check"}, []string{"fmt", "--", "-check"}},
		{[]string{"validate", "-c", "a.hcl", "-var", "x=1"}, []string{"validate", "-c", "a.hcl", "--var", "x=1"}},
		{[]string{"validate", "-config=a.hcl"}, []string{"validate", "--config=a.hcl"}},
		{[]string{"validate", "-check"}, []string{"validate", "-check"}},
		{[]string{"-help"}, []string{"--help"}},
		{[]string{"unknown", "-check", ""}, []string{"unknown", "-check", ""}},
	} {
		got := longFlags(root, c.in)
		if !slices.Equal(got, c.want) {
			t.Errorf("longFlags(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}
