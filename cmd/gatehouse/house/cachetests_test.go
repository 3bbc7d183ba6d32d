package house_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The public conformance suite for HTTP caches, http-cache-tests, against a whole house: its own origin behind, its own client in
// front. GATEHOUSE_TEST_CACHE_TESTS names the directory of the package, or several as PATH does; both of its editions
// are known, that of the npm registry and that of its repository. testdata/cachetests.txt lists what fails, and why: nothing else may,
// and what does no longer has to go from the list.

// suites returns the directories of the suite, or skips the test.
func suites(t *testing.T) []string {
	t.Helper()
	list := filepath.SplitList(os.Getenv("GATEHOUSE_TEST_CACHE_TESTS"))
	if len(list) == 0 {
		const what = "GATEHOUSE_TEST_CACHE_TESTS does not say where http-cache-tests is (npm install http-cache-tests)"
		if os.Getenv("GATEHOUSE_TEST_ALL") == "1" {
			t.Fatal(what)
		}
		t.Skip(what)
	}
	return list
}

// verdicts is what the suite says of a cache.
type verdicts struct {
	Edition string                     // "npm" or "git"
	Kinds   map[string]string          // of each test: required, optimal or check
	Results map[string]json.RawMessage // true, or what went wrong
}

// failed returns what went wrong in a test, "" for nothing.
func (v *verdicts) failed(id string) string {
	r, ok := v.Results[id]
	switch {
	case !ok:
		return "was not run"
	case string(r) == "true":
		return ""
	}
	return string(r)
}

// suiteTime is how long the suite may take: it waits for seconds again and again.
const suiteTime = 4 * time.Minute

// runSuite runs the suite, or those tests of it, through a cache.
func runSuite(t *testing.T, dir, addr string, ids ...string) *verdicts {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, "node"), "--no-warnings", "testdata/cachetests.mjs")
	cmd.Env = append(os.Environ(), "SUITE="+dir, "BASE=http://"+addr, "IDS="+strings.Join(ids, " "))
	late := time.AfterFunc(suiteTime, func() { cmd.Process.Kill() })
	defer late.Stop()
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("the suite: %v\n%s", err, said.String())
	}
	v := &verdicts{}
	if err := json.Unmarshal(out.Bytes(), v); err != nil {
		t.Fatalf("the suite says %q: %v", out.String(), err)
	}
	return v
}

// suiteOrigin starts the suite's own origin server and returns its address.
func suiteOrigin(t *testing.T, dir string) string {
	t.Helper()
	server := filepath.Join(dir, "test-engine", "server", "server.mjs")
	if _, err := os.Stat(server); err != nil {
		server = filepath.Join(dir, "server", "server.mjs")
	}
	cmd := exec.Command(program(t, "node"), "--no-warnings", server)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "npm_config_protocol=http", "npm_config_port=0", "npm_config_pidfile=pid")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	said := make(chan struct{})
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-said
		cmd.Wait()
	})
	listening := regexp.MustCompile(`^Listening on http://.*:(\d+)/`)
	port := make(chan string, 1)
	go func() { // until it is killed: it must not wait for a reader
		defer close(said)
		for lines.Scan() {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				port <- m[1]
			}
		}
	}()
	select {
	case p := <-port:
		return "127.0.0.1:" + p
	case <-said:
		t.Fatal("the suite's server ended")
	case <-time.After(patience):
		t.Fatal("the suite's server does not listen")
	}
	return ""
}

// throughSuite builds a house for the suite. The server is asked once only: the suite takes a second try for a fault.
func throughSuite(t *testing.T, dir, cache, back string) *rig {
	t.Helper()
	return build(t, plan{front: "cache = cache.pages", back: "retries = 0\n" + back, more: "cache \"pages\" {\n memory = \"64MiB\"\n" + cache + "}\n",
		loops: 2, at: []string{suiteOrigin(t, dir)}})
}

// allowance is a test of the suite that fails, and why that is right.
type allowance struct{ edition, mode, kind, id, why string }

// allowances reads testdata/cachetests.txt: a line of edition, mode, kind and ids, "*" for both of the first two, and
// under it, indented, why.
func allowances(t *testing.T) (list []allowance) {
	t.Helper()
	text, err := os.ReadFile("testdata/cachetests.txt")
	if err != nil {
		t.Fatal(err)
	}
	var fresh []allowance
	why := ""
	end := func() {
		for _, a := range fresh {
			if a.why = strings.TrimSpace(why); a.why == "" {
				t.Errorf("testdata/cachetests.txt: %s fails without a reason", a.id)
			}
			list = append(list, a)
		}
		fresh, why = nil, ""
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		switch {
		case line == "" || line[0] == '#':
		case line[0] == ' ':
			why += " " + strings.TrimSpace(line)
		default:
			if why != "" {
				end()
			}
			f := strings.Fields(line)
			if len(f) < 4 {
				t.Fatalf("testdata/cachetests.txt: %q", line)
			}
			for _, id := range f[3:] {
				fresh = append(fresh, allowance{edition: f[0], mode: f[1], kind: f[2], id: id})
			}
		}
	}
	end()
	return list
}

// allowed returns the ids that fail in an edition and a mode.
func allowed(list []allowance, edition, mode, kind string) map[string]bool {
	ids := map[string]bool{}
	for _, a := range list {
		if (a.edition == "*" || a.edition == edition) && (a.mode == "*" || a.mode == mode) && a.kind == kind {
			ids[a.id] = true
		}
	}
	return ids
}

// TestCacheTests: what the suite requires and what it calls optimal, in the default mode and in that of the letter of RFC 9111.
func TestCacheTests(t *testing.T) {
	t.Parallel()
	list := allowances(t)
	for _, dir := range suites(t) {
		for _, m := range []struct{ name, cache string }{
			{"default", ""},
			{"rfc", " unsafe_store_set_cookie = true\n"},
		} {
			t.Run(filepath.Base(dir)+"/"+m.name, func(t *testing.T) {
				t.Parallel()
				r := throughSuite(t, dir, m.cache, "")
				v := runSuite(t, dir, r.addr)
				// A machine that is busy elsewhere can be late for what the suite expects within a second: such a test gets another try.
				var again []string
				for id, kind := range v.Kinds {
					if kind != "check" && v.failed(id) != "" && !allowed(list, v.Edition, m.name, kind)[id] {
						again = append(again, id)
					}
				}
				if len(again) > 0 && len(again) < 20 {
					t.Logf("once more: %s", again)
					maps.Copy(v.Results, runSuite(t, dir, r.addr, again...).Results)
				}
				for _, kind := range []string{"required", "optimal"} {
					compare(t, v, kind, allowed(list, v.Edition, m.name, kind))
				}
			})
		}
	}
}

// compare checks that those tests fail which may, and no others.
func compare(t *testing.T, v *verdicts, kind string, may map[string]bool) {
	t.Helper()
	passed, all := 0, 0
	for _, id := range slices.Sorted(maps.Keys(v.Kinds)) {
		if v.Kinds[id] != kind {
			continue
		}
		all++
		switch why := v.failed(id); {
		case why == "" && may[id]:
			t.Errorf("%s passes: it must go from testdata/cachetests.txt", id)
		case why != "" && !may[id]:
			t.Errorf("%s, %s: %s", id, kind, why)
		case why == "":
			passed++
		}
		delete(may, id)
	}
	for id := range may {
		t.Errorf("testdata/cachetests.txt: the suite has no %s %s", kind, id)
	}
	t.Logf("%s: %d of %d", kind, passed, all)
	if all < 80 {
		t.Errorf("the suite has %d tests only", all)
	}
}

// TestCacheTestsOfNewcomers: all of the suite's clients are newcomers, who get a persistence cookie with each answer. Nothing of that
// is remembered, whatever the suite's server says of it, and nothing is given to two.
func TestCacheTestsOfNewcomers(t *testing.T) {
	t.Parallel()
	for _, dir := range suites(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			r := throughSuite(t, dir, "", "cookie \"SERVERID\" {}")
			v := runSuite(t, dir, r.addr)
			s := r.h.Status().Caches[0]
			if s.Stored+s.Hits+s.Collapsed+s.Revalidated != 0 || s.Keys != 0 || s.Filling != 0 {
				t.Errorf("something was remembered: %+v", s)
			}
			if s.Unstorable < 300 {
				t.Errorf("hardly anything was asked for: %+v", s)
			}
			for id := range v.Results {
				if why := v.failed(id); strings.Contains(why, "comes from cache") && !strings.Contains(why, "does not") && !strings.HasPrefix(id, "stale-close-") {
					t.Errorf("%s: %s", id, why)
				}
			}
		})
	}
}
