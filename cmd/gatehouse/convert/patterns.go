package convert

import (
	"regexp/syntax"
	"slices"
	"strings"
)

// maxPatterns is how many paths a pattern may stand for.
const maxPatterns = 64

// pathsOf says a pattern of paths as a route does: "^/(a|b)/" is "/a/*" and "/b/*". Loose says that the pattern takes more, paths that go
// on without a slash. It is not ok where no list of paths and prefixes means the same.
func pathsOf(pattern string) (paths []string, loose, ok bool) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, false, false
	}
	items := flatten(re)
	if len(items) == 0 || items[0].Op != syntax.OpBeginText {
		return nil, false, false // it is looked for anywhere
	}
	items = items[1:]
	heads := []string{""}
	for len(items) > 0 && !isTail(items) {
		list, finite := expansions(items[0])
		if !finite || len(list)*len(heads) > maxPatterns {
			return nil, false, false
		}
		var next []string
		for _, h := range heads {
			for _, l := range list {
				next = append(next, h+l)
			}
		}
		heads, items = next, items[1:]
	}
	for _, h := range heads {
		if h == "" {
			if len(items) > 0 && items[0].Op == syntax.OpEndText {
				return nil, false, false
			}
			return nil, false, true // every path
		}
		if !strings.HasPrefix(h, "/") || strings.ContainsAny(h, "*?# ") {
			return nil, false, false
		}
		switch {
		case len(items) > 0 && items[0].Op == syntax.OpEndText:
			paths = append(paths, h)
		case len(items) > 0 && isBelow(items[0]) && (bare(items[0]).Op == syntax.OpQuest) == (len(items) == 2):
			paths = append(paths, h, h+"/*")
		case len(items) == 2 && isBelow(items[0]): // "(/|$)$"
			paths = append(paths, h, h+"/")
		default: // ends here, or ".*" follows, or a "(/.*)?" with no end, after which anything may come
			paths = append(paths, prefixPaths(h)...)
			loose = loose || !strings.HasSuffix(h, "/")
		}
	}
	return distinct(paths), loose, true
}

// flatten returns what follows one another in a pattern.
func flatten(re *syntax.Regexp) []*syntax.Regexp {
	if re.Op != syntax.OpConcat {
		return []*syntax.Regexp{re}
	}
	var list []*syntax.Regexp
	for _, sub := range re.Sub {
		list = append(list, flatten(sub)...)
	}
	return list
}

// bare takes the parentheses off.
func bare(re *syntax.Regexp) *syntax.Regexp {
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	return re
}

// isTail reports whether items mean: and no more, or and whatever follows.
func isTail(items []*syntax.Regexp) bool {
	if len(items) == 2 && items[1].Op == syntax.OpEndText && items[0].Op != syntax.OpEndText {
		items = items[:1]
	}
	return len(items) == 1 && (items[0].Op == syntax.OpEndText || isAnything(items[0]) || isBelow(items[0]))
}

// isAnything is ".*".
func isAnything(re *syntax.Regexp) bool {
	re = bare(re)
	return re.Op == syntax.OpStar && (re.Sub[0].Op == syntax.OpAnyChar || re.Sub[0].Op == syntax.OpAnyCharNotNL)
}

// isBelow is "(/.*)?" and "(/|$)".
func isBelow(re *syntax.Regexp) bool {
	re = bare(re)
	slash := func(r *syntax.Regexp) bool { r = bare(r); return r.Op == syntax.OpLiteral && string(r.Rune) == "/" }
	switch re.Op {
	case syntax.OpQuest:
		items := flatten(bare(re.Sub[0]))
		return len(items) == 2 && slash(items[0]) && isAnything(items[1])
	case syntax.OpAlternate:
		return len(re.Sub) == 2 && (slash(re.Sub[0]) && re.Sub[1].Op == syntax.OpEndText || slash(re.Sub[1]) && re.Sub[0].Op == syntax.OpEndText)
	}
	return false
}

// expansions lists every text a pattern matches, if they are few.
func expansions(re *syntax.Regexp) (list []string, finite bool) {
	if re.Flags&syntax.FoldCase != 0 {
		return nil, false
	}
	switch re.Op {
	case syntax.OpEmptyMatch:
		return []string{""}, true
	case syntax.OpLiteral:
		return []string{string(re.Rune)}, true
	case syntax.OpCapture:
		return expansions(re.Sub[0])
	case syntax.OpQuest:
		list, finite = expansions(re.Sub[0])
		return append([]string{""}, list...), finite
	case syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if list = append(list, string(r)); len(list) > maxPatterns {
					return nil, false
				}
			}
		}
		return list, true
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			more, finite := expansions(sub)
			if list = append(list, more...); !finite || len(list) > maxPatterns {
				return nil, false
			}
		}
		return list, true
	case syntax.OpConcat:
		list = []string{""}
		for _, sub := range re.Sub {
			more, finite := expansions(sub)
			if !finite || len(list)*len(more) > maxPatterns {
				return nil, false
			}
			var next []string
			for _, a := range list {
				for _, b := range more {
					next = append(next, a+b)
				}
			}
			list = next
		}
		return list, true
	}
	return nil, false
}

// withinPaths reports whether a route of its paths takes a path, or all below a prefix.
func withinPaths(paths []string, path string) bool {
	return slices.ContainsFunc(paths, func(p string) bool {
		prefix, below := strings.CutSuffix(p, "*")
		return p == path || below && strings.HasPrefix(path, prefix)
	})
}
