package convert

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestPatternsThatAreLists(t *testing.T) {
	for _, c := range []struct {
		pattern string
		want    string // "-": none
		loose   bool
	}{
		{"^/api/", "/api/*", false},
		{"^/api", "/api /api/*", true},
		{"^/api$", "/api", false},
		{"^/api/?$", "/api /api/", false},
		{"^/api(/|$)", "/api /api/*", false},
		{"^/api($|/)", "/api /api/*", false},
		{"^/api(/.*)?$", "/api /api/*", false},
		{"^/api/.*", "/api/*", false},
		{"^/api/(.*)$", "/api/*", false},
		{"^/(a|b|c)/", "/a/* /b/* /c/*", false},
		{"^/(?:img|css)/(.*)$", "/img/* /css/*", false},
		{"^(/img|/css)/", "/img/* /css/*", false},
		{`^/favicon\.ico$`, "/favicon.ico", false},
		{"^/v[12]/", "/v1/* /v2/*", false},
		{"^/(a|ab)$", "/a /ab", false},
		{"^", "", false},
		{"^/", "/*", false},
		{"^/.*$", "/*", false},
		{"/api/", "-", false},
		{`\.php$`, "-", false},
		{`^/.*\.php$`, "-", false},
		{"^/[^/]+/x", "-", false},
		{"^/a+", "-", false},
		{"(?i)^/api/", "-", false},
		{"^/a|^/b", "-", false},
		{"^api", "-", false},
		{"^$", "-", false},
		{"^/(a|b", "-", false},
		{"^/[a-z][a-z]/", "-", false},
		{"^/a*b", "-", false},
		{`^/a\?b`, "-", false},
	} {
		paths, loose, ok := pathsOf(c.pattern)
		got := strings.Join(paths, " ")
		if !ok {
			got = "-"
		}
		if got != c.want || loose != c.loose {
			t.Errorf("%s: got %q, loose %v", c.pattern, got, loose)
		}
	}
}

// FuzzPatterns compares the paths made of a pattern with the pattern itself.
func FuzzPatterns(f *testing.F) {
	for _, p := range []string{"^/api(/|$)", "^/(a|bc)/x$", "^/v[12](/.*)?$", "^/a?b/", "/a", "^", "^/(|a)", "^/a(/|$)$", "^/a(/.*)?"} {
		f.Add(p, "/api/x")
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		paths, loose, ok := pathsOf(pattern)
		if !ok || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "\n*") || strings.ContainsRune(path, '\uFFFD') || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' }) {
			return
		}
		re, err := regexp.Compile(pattern)
		if err != nil {
			t.Fatalf("%q: %v", pattern, err)
		}
		candidates := []string{path}
		for _, p := range paths {
			p = strings.TrimSuffix(p, "*")
			candidates = append(candidates, p, p+"x", p+"/", p+"/x", strings.TrimSuffix(p, "/"))
		}
		for _, path := range candidates {
			if path == "" {
				continue
			}
			is, want := len(paths) == 0 || withinPaths(paths, path), re.MatchString(path)
			if is && !want && !slices.Contains(paths, path+"/*") || !is && want && !loose {
				// "/prefix/*" takes "/prefix/" too, which servers treat alike.
				if strings.HasSuffix(path, "/") || loose {
					continue
				}
				t.Fatalf("%q: %q, which %v takes: %v, the pattern itself: %v", pattern, path, paths, is, want)
			}
		}
	})
}
