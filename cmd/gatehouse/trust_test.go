package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/tlsconf"
)

// TestTrust: the root is found, printed, and put into a system's store and out of it.
func TestTrust(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	put := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(at(name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	put("gatehouse.hcl", "global {\n  state_dir = \"state\"\n}\ntls \"dev\" { internal = true }\nfrontend \"www\" {\n  bind \":443\" { tls = tls.dev }\n  route {\n    paths   = [\"/*\"]\n    respond = 404\n  }\n}\n", 0o600)
	if err := os.Mkdir(at("store"), 0o755); err != nil {
		t.Fatal(err)
	}
	put("update", "#!/bin/sh\necho \"update $*\" >> "+at("ran")+"\n", 0o755)
	before, java := trustStores, javaStore
	defer func() { trustStores, javaStore = before, java }()
	javaStore = at("update") // some file that is there
	trustStores = systems{
		{"/nowhere", []string{at("update")}, nil},
		{at("store"), []string{"no-such-tool-of-gatehouse"}, nil},
		{at("store"), []string{at("update"), "add"}, []string{at("update"), "fresh"}},
	}
	run := func(code int, args ...string) (out, talk string) {
		t.Helper()
		var o, e bytes.Buffer
		if got := run(append([]string{"trust", "-c", at("gatehouse.hcl")}, args...), nil, &o, &e); got != code {
			t.Errorf("%v exits with %d, want %d: %s", args, got, code, &e)
		}
		return o.String(), e.String()
	}
	has := func(text, part string) {
		t.Helper()
		if !strings.Contains(text, part) {
			t.Errorf("no %q in %q", part, text)
		}
	}

	_, talk := run(exitFailed)
	has(talk, "there is no internal CA below "+at("state"))

	certs, err := tlsconf.New(t.Context(), &tlsconf.Config{Name: "dev", Internal: true, StateDir: at("state")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	certs.Close()
	out, talk := run(0)
	if out != certs.RootFile()+"\n" {
		t.Errorf("the root is at %q, not at %q", certs.RootFile(), out)
	}
	has(talk, "this machine does not trust it yet")
	if out, _ := run(0, "--print"); out != string(certs.RootPEM()) {
		t.Errorf("prints %q", out)
	}
	out, _ = run(0, "--remove")
	has(out, "was not trusted by this machine")

	out, _ = run(0, "--install")
	has(out, "is trusted by this machine")
	files, err := filepath.Glob(at("store") + "/*")
	if err != nil || len(files) != 1 || filepath.Ext(files[0]) != ".crt" {
		t.Fatalf("in the store: %q", files)
	}
	if b, _ := os.ReadFile(files[0]); string(b) != string(certs.RootPEM()) {
		t.Errorf("in the store: %q", b)
	}
	_, talk = run(0)
	has(talk, "this machine trusts it, by "+files[0])
	out, talk = run(0, "--remove")
	has(out, "is not trusted by this machine any more")
	has(talk, "keytool -delete -alias debian:"+strings.TrimSuffix(filepath.Base(files[0]), ".crt")+".pem")
	if files, _ := filepath.Glob(at("store") + "/*"); len(files) != 0 {
		t.Errorf("left in the store: %q", files)
	}
	if b, _ := os.ReadFile(at("ran")); string(b) != "update add\nupdate fresh\n" {
		t.Errorf("the system was told %q", b)
	}

	// What cannot be done is said, with the words to do it.
	put("update", "#!/bin/sh\nexit 3\n", 0o755)
	_, talk = run(exitFailed, "--install")
	has(talk, "as root, this does it:\n  sudo install -m 0644 "+certs.RootFile()+" "+at("store")+"/gatehouse-")
	has(talk, "exit status 3")
	trustStores = nil
	_, talk = run(exitFailed, "--install")
	has(talk, "is not known")
	run(exitUsage, "--install", "--print")
}
