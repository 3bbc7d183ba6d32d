package examples

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"gatehouse/cmd/gatehouse/config"
)

// gateway is the balancer of the guide, whose servers see it under this address.
var gateway = netip.MustParseAddr("192.168.1.1")

// folders returns the folders of this directory.
func folders(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != "testdata" {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		t.Fatal("no folders")
	}
	return names
}

// TestFoldersAreWhole holds every folder to what a reader expects in it.
func TestFoldersAreWhole(t *testing.T) {
	for _, folder := range folders(t) {
		for _, name := range []string{"gatehouse.hcl", "README.md", "flow"} {
			if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
				t.Error(err)
			}
		}
		old, err := filepath.Glob(filepath.Join(folder, "*.c[of]*[fg]"))
		if err != nil || len(old) == 0 {
			t.Errorf("%s has no configuration that gatehouse.hcl replaces (%v)", folder, err)
		}
		readme, err := os.ReadFile(filepath.Join(folder, "README.md"))
		if err != nil {
			continue
		}
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "README.md" && !strings.Contains(string(readme), "`"+e.Name()+"`") {
				t.Errorf("%s/README.md does not speak of %s", folder, e.Name())
			}
		}
	}
}

// TestFoldersLoad loads every configuration: no errors, and no warnings either.
func TestFoldersLoad(t *testing.T) {
	files, err := filepath.Glob("*/*.hcl")
	if err != nil || len(files) < len(folders(t)) {
		t.Fatalf("%d configurations, %v", len(files), err)
	}
	for _, file := range files {
		f, diags := config.Load([]string{file}, config.Options{})
		if errs, warnings := diags.Count(); errs+warnings > 0 {
			var b strings.Builder
			if err := diags.Print(&b); err != nil {
				t.Error(err)
			}
			t.Errorf("%s:\n%s", file, b.String())
		} else if len(f.Frontends) == 0 || len(f.Backends) == 0 {
			t.Errorf("%s: %s", file, f.Counts())
		}
	}
}

// TestFoldersAreEmbedded compares FS with the directory.
func TestFoldersAreEmbedded(t *testing.T) {
	files, err := filepath.Glob("*/*.hcl")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := FS.ReadFile(filepath.ToSlash(file))
		if err != nil || string(got) != string(want) {
			t.Errorf("%s: %v, %d bytes of %d", file, err, len(got), len(want))
		}
	}
}

// playFolder plays a flow in a folder.
func playFolder(t *testing.T, folder, text string) (err error) {
	t.Helper()
	f, err := parseFlow("flow", text)
	if err != nil {
		return err
	}
	l := lot{dir: t.TempDir(), names: f.names()}
	synctest.Test(t, func(t *testing.T) {
		l.n = newNetwork(gateway)
		p := newPlayer(l.n, l.stage)
		p.folder = folder
		err = p.play(f)
	})
	return err
}

// names returns the names that clients of a flow ask for by TLS.
func (f *flow) names() (names []string) {
	for _, s := range f.steps {
		if s.verb == "tls" && s.args[0] != "off" && !slices.Contains(names, s.args[0]) {
			names = append(names, s.args[0])
		}
	}
	return names
}

func TestFlows(t *testing.T) {
	for _, folder := range folders(t) {
		t.Run(folder, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(folder, "flow"))
			if err != nil {
				t.Fatal(err)
			}
			if err := playFolder(t, folder, string(text)); err != nil {
				t.Errorf("%s/%v", folder, err)
			}
		})
	}
}

// TestFlowsCanFail plays flows that claim what is not so, to prove that playing one proves something.
func TestFlowsCanFail(t *testing.T) {
	for _, c := range []struct{ folder, text, want string }{
		{"1-cookie-insertion", "c1 > GET /\nwebA < GET /\nwebA > 200\nc1 < 200\n  ! Set-Cookie", "there is a Set-Cookie: SERVERID=A"},
		{"1-cookie-insertion", "c1 > GET /\nwebB < GET /", "webA got what no line received"},
		{"1-cookie-insertion", "c1 > GET /\n  Cookie: SERVERID=B\nwebB < GET /\n  Cookie: SERVERID=B", "no Cookie: SERVERID=B"},
		{"1-cookie-insertion", "webA checks 500\nwait 8s\npick 8 of ABCD", "got BCD"},
		{"1-cookie-insertion", "webA checks 500\nwait 3s\npick 8 of BCD", "got ABCD"},
		{"1-cookie-insertion", "webA checked HEAD /index.html HTTP/1.1", `got "HEAD /index.html HTTP/1.0"`},
		{"1-source", "pick 8 of ABCD", "got "},
		{"2-weights", "pick AACC", "got ABCD"},
		{"3-https", "c1 tls shop.example.com\nc1 > GET /\nwebA < GET /\nwebA > 200\nc1 < 200\n  ! Cache-Control", "there is a Cache-Control: private"},
		{"3.1-stunnel", "c1 > GET /\nwebA < GET /\n  ! X-Forwarded-For", "there is a X-Forwarded-For: 10.0.0.1"},
		{"3.1-stunnel", "house missing.hcl", "missing.hcl"},
		{"2-cookie-prefix", "c1 > GET /\nwebA < GET /\nwebA > 200\n  Set-Cookie: JSESSIONID=1\nc1 < 200\n  = Set-Cookie: JSESSIONID=1", `wanted ["JSESSIONID=1"] alone`},
		{"2.1-external-balancer", "m from 192.168.1.253\nm connect\nm << \"HTTP/1.0 200 OK\" within 2s", `got ""`},
		{"2.2-tcp-relay", "c1 to 192.168.1.1:1494\nc1 >> \"x\"\ntse-farm:3389 << \"x\"", "it has no connection"},
		{"2.2-tcp-relay", "m from 192.168.1.252\nm to 192.168.1.1:1494\nm connect\nm < EOF\ntse-farm:1494 counts 1", "0 came"},
		{"4.1-softstop-file", "webA checks 404\nwait 5s\nc1 > GET /\n  Cookie: SERVERID=A\nwebB < GET /", "webA got what no line received"},
		{"4.2-softstop-backup", "down webA:81\nwait 8s\npick 12 of ABCD", "got "},
		{"4.2-softstop-backup", "wait 5s\nwebA checked 9 times in 10s", "10 checks came"},
		{"4.2.2-drain-command", "server drain webfarm/webZ", `unknown server "webZ"`},
		{"4.2.2-drain-command", "server drain webfarm/webA\npick ABCD", "got BCD"},
		{"4.3-hot-reconfiguration", "reload mistakes.txt", "it was refused"},
		{"4.3-hot-reconfiguration", "reload mistakes.txt refused ~ nonsense", "it was refused otherwise"},
		{"4.3-hot-reconfiguration", "reload next.hcl refused ~ .", "it was not refused"},
		{"4.3-hot-reconfiguration", "stop next.hcl", "no house of next.hcl is open"},
		{"4.3-hot-reconfiguration", "c1 connect refused", "somebody listens"},
		{"5-multi-site", "house S1.hcl at 192.168.1.2\nhouse SD1.hcl at 192.168.1.1\nS1L1 < GET /", "S1L1 is no server"},
		{"6-source-addresses", "c1 >> \"x\"\nfrom1to1 << \"x\"\nfrom1to1 from 10.1.2.2", "it came from 10.1.2.1"},
		{"7-high-load", "repeat 9\nc$N > GET /$N\nend\neach K 1 3 5 7 9\ns1 < GET /$K\nend", "nothing came within 10s"},
	} {
		err := playFolder(t, c.folder, c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q: got error %v, want %q in it", c.folder, c.text, err, c.want)
		}
	}
}
