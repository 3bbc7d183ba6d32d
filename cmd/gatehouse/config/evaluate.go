package config

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// An evaluator computes the expressions of a configuration.
type evaluator struct {
	options Options
	diags   *Diagnostics
	base    *hcl.EvalContext            // names and functions of all files
	files   map[string]*hcl.EvalContext // its children: file() reads relative to the file it is written in
}

func newEvaluator(sources []source, o Options, diags *Diagnostics) *evaluator {
	e := &evaluator{options: o, diags: diags, files: map[string]*hcl.EvalContext{}}
	e.base = &hcl.EvalContext{Variables: map[string]cty.Value{}, Functions: functions(o.Env)}
	for _, s := range sources {
		c := e.base.NewChild()
		c.Functions = fileFunctions(s.name)
		e.files[s.name] = c
	}
	return e
}

// context returns what expressions of a file are computed in.
func (e *evaluator) context(filename string) *hcl.EvalContext {
	if c := e.files[filename]; c != nil {
		return c
	}
	return e.base
}

// value computes an expression. It returns false when that was impossible, which it has reported by then.
func (e *evaluator) value(expr hcl.Expression) (val cty.Value, ok bool) {
	if !e.resolves(expr) {
		return cty.DynamicVal, false
	}
	// The functions are a library's. Should one of them fail on arguments nobody thought of, that is still
	// the configuration's mistake, and at a known place.
	defer func() {
		if r := recover(); r != nil {
			e.diags.fail(expr.Range(), "this expression cannot be computed", fmt.Sprintf("A function failed: %v.", r))
			val, ok = cty.DynamicVal, false
		}
	}()
	val, diags := expr.Value(e.context(expr.Range().Filename))
	e.diags.add(diags...)
	if diags.HasErrors() {
		return cty.DynamicVal, false
	}
	val, _ = val.UnmarkDeep()
	return val, val.IsWhollyKnown() // unknown is only what was computed from something reported already
}

// resolves reports whether the names in an expression exist, and says so when one does not.
func (e *evaluator) resolves(expr hcl.Expression) bool {
	ok := true
	for _, t := range expr.Variables() {
		root := t.RootName()
		group, known := e.base.Variables[root]
		if !known {
			ok = false
			e.unknownRoot(t, root)
			continue
		}
		if len(t) < 2 || !group.IsKnown() || !group.Type().IsObjectType() {
			continue
		}
		name, place := step(t[1])
		if name == "" || group.Type().HasAttribute(name) {
			continue
		}
		ok = false
		if len(e.diags.broken) > 0 && root != "var" && root != "local" {
			continue // it may stand where a syntax error hides it
		}
		have := slices.Sorted(maps.Keys(group.Type().AttributeTypes()))
		e.diags.fail(place, fmt.Sprintf("unknown %s %q", word(root), name), missing(root, name, have))
	}
	return ok
}

func (e *evaluator) unknownRoot(t hcl.Traversal, root string) {
	have := slices.Sorted(maps.Keys(e.base.Variables))
	remedy := didYouMean(root, have)
	if remedy == "" {
		for _, group := range have {
			if ty := e.base.Variables[group].Type(); ty.IsObjectType() && ty.HasAttribute(root) {
				remedy = fmt.Sprintf(" Did you mean %s.%s?", group, root)
				break
			}
		}
	}
	if remedy == "" {
		remedy = " A string stands in double quotes; a variable is var.NAME, a local value local.NAME."
	}
	if slices.Contains(refKinds, root) {
		remedy = " References to blocks stand in attributes of other blocks only, not in variables and locals."
	}
	e.diags.fail(t.SourceRange(), fmt.Sprintf("unknown name %q", root), remedy[1:])
}

// missing is the remedy for a name that does not exist.
func missing(root, name string, have []string) string {
	if near := nearest(name, have); near != "" {
		return fmt.Sprintf("Did you mean %s.%s?", root, near)
	}
	if len(have) == 0 {
		return fmt.Sprintf("There is no %s at all: add one.", word(root))
	}
	return fmt.Sprintf("There is %s.", oneOf(prefixed(root+".", have)))
}

func prefixed(prefix string, list []string) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		if len(out) == 8 {
			return append(out, "others")
		}
		out = append(out, prefix+s)
	}
	return out
}

// word is what a root name stands for.
func word(root string) string {
	switch root {
	case "var":
		return "variable"
	case "local":
		return "local value"
	}
	return root
}

// step returns the name in the second step of a traversal: backend.webfarm or backend["webfarm"].
func step(t hcl.Traverser) (string, hcl.Range) {
	switch t := t.(type) {
	case hcl.TraverseAttr:
		return t.Name, t.SrcRange
	case hcl.TraverseIndex:
		if t.Key.Type() == cty.String && t.Key.IsKnown() && !t.Key.IsNull() {
			return t.Key.AsString(), t.SrcRange
		}
	}
	return "", hcl.Range{}
}
