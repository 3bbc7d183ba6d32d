package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// movingDifference is something gatehouse does otherwise than the programs it replaces.
type movingDifference struct {
	why string
	// steps are those where it shows; one that ends in "*" stands for all that begin so, and "*" for those where it does.
	steps    []string
	old, new []string // the lines on either side. A line that ends in "*" stands for any that begins so
}

// TestMovingIn plays one script against old programs, really run, and against gatehouse with what "gatehouse convert" makes of their
// configurations. The answers are the same, and so is what servers are asked, but for the differences that are listed with their reasons:
// neither may there be another one, nor may one of the list have gone.
func TestMovingIn(t *testing.T) {
	for name, s := range map[string]*movingStack{"stunnel and haproxy": &stunnelAndHAProxy, "apache": &apacheAlone} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, p := range s.programs {
				if program(p) == "" {
					const what = "%s is not installed: nothing to move in from"
					if os.Getenv("GATEHOUSE_TEST_ALL") == "1" {
						t.Fatalf(what, p)
					}
					t.Skipf(what, p)
				}
			}
			movingIn(t, s)
		})
	}
}

func movingIn(t *testing.T, s *movingStack) {
	host := ownLoopback()
	site := newMovingSite(t, host, "A", "B")
	p := newMovingPlace(t, s, host, site)
	skip := func(step *movingStep) bool { return step.plain && !s.open && step.name != "redirect to https" }
	c := &movingClient{TB: t, site: site, host: s.host, cookie: s.cookie, secure: p.words["SECURE"], open: p.words["OPEN"]}

	stop := s.start(p)
	before := c.play(skip)
	stop()

	args := []string{"convert", "-o", p.path("gatehouse.hcl")}
	for _, kind := range slices.Sorted(maps.Keys(s.files)) {
		args = append(args, "--"+kind, p.path(kind+".conf"))
	}
	if out, err := exec.Command("gatehouse", args...).CombinedOutput(); err != nil {
		t.Fatalf("gatehouse %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	converted, err := os.ReadFile(p.path("gatehouse.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path("state.hcl"), fmt.Appendf(nil, "global { state_dir = %q }\n", p.path("state")), 0o644); err != nil {
		t.Fatal(err)
	}
	stop = p.run("gatehouse", "run", "-c", p.path("gatehouse.hcl"), "-c", p.path("state.hcl"))
	after := c.play(skip)
	stop()
	if compareMoves(t, s, before, after, skip); t.Failed() {
		t.Logf("the configuration:\n%s", converted)
	}
}

// compareMoves holds the differences against those that are known.
func compareMoves(t *testing.T, s *movingStack, before, after map[string][]string, skip func(*movingStep) bool) {
	seen := map[*movingDifference]map[string]bool{}
	for i := range movingSteps {
		step := &movingSteps[i]
		if skip(step) {
			continue
		}
		gone, come := lessThan(before[step.name], after[step.name]), lessThan(after[step.name], before[step.name])
		for i := range s.differences {
			d := &s.differences[i]
			for _, where := range d.steps {
				if matches(where, step.name) && takeAll(&gone, &come, d) {
					if seen[d] == nil {
						seen[d] = map[string]bool{}
					}
					seen[d][where] = true
					break
				}
			}
		}
		if len(gone)+len(come) > 0 {
			t.Errorf("%s: gatehouse does it otherwise\n- %s\n+ %s", step.name, strings.Join(gone, "\n- "), strings.Join(come, "\n+ "))
		}
	}
	for i := range s.differences {
		d := &s.differences[i]
		for _, where := range d.steps {
			if !seen[d][where] {
				t.Errorf("the difference %q does not show in %q any more: take it from the list", d.why, where)
			}
		}
	}
}

// lessThan returns the lines of a that b has not.
func lessThan(a, b []string) (list []string) {
	b = slices.Clone(b)
	for _, l := range a {
		if i := slices.Index(b, l); i >= 0 {
			b = slices.Delete(b, i, i+1)
		} else {
			list = append(list, l)
		}
	}
	return list
}

// matches reports whether a line is meant by a pattern, which may end in a star.
func matches(pattern, line string) bool {
	prefix, more := strings.CutSuffix(pattern, "*")
	return pattern == line || more && strings.HasPrefix(line, prefix)
}

// takeAll takes a difference out of both lists, if all of it is there.
func takeAll(gone, come *[]string, d *movingDifference) bool {
	g, ok := without(*gone, d.old)
	c, also := without(*come, d.new)
	if ok && also {
		*gone, *come = g, c
	}
	return ok && also
}

func without(list, patterns []string) ([]string, bool) {
	list = slices.Clone(list)
	for _, p := range patterns {
		i := slices.IndexFunc(list, func(l string) bool { return matches(p, l) })
		if i < 0 {
			return nil, false
		}
		list = slices.Delete(list, i, i+1)
	}
	return list, true
}

// modulesOf returns the directory of Apache's modules.
func modulesOf(t testing.TB) string {
	t.Helper()
	for _, dir := range []string{"/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules", "/usr/local/apache2/modules"} {
		if _, err := os.Stat(filepath.Join(dir, "mod_proxy.so")); err == nil {
			return dir
		}
	}
	t.Fatal("Apache is here, and its modules are not found")
	return ""
}
