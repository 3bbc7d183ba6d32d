package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// EnvPrefix begins the names of environment variables that set variables of the configuration: GATEHOUSE_VAR_region sets var.region.
const EnvPrefix = "GATEHOUSE_VAR_"

// variables evaluates the variable and locals blocks of all files, and takes them out of the bodies. From then on var.NAME and
// local.NAME exist.
func (d *decoder) variables(bodies []*hclsyntax.Body) {
	vars := map[string]cty.Value{}
	declared := map[string]hcl.Range{}
	var locals []*hclsyntax.Attribute
	for _, b := range bodies {
		b.Blocks = slices.DeleteFunc(b.Blocks, func(block *hclsyntax.Block) bool {
			switch block.Type {
			case "variable":
				d.variable(block, vars, declared)
			case "locals":
				locals = append(locals, d.localsOf(block)...)
			default:
				return false
			}
			return true
		})
	}
	for _, name := range slices.Sorted(maps.Keys(d.options.Vars)) {
		if _, ok := declared[name]; !ok && len(d.diags.broken) == 0 {
			remedy := fmt.Sprintf("Declare it in the configuration: variable %q {}", name)
			if near := nearest(name, slices.Sorted(maps.Keys(declared))); near != "" {
				remedy = fmt.Sprintf("Did you mean %q?", near)
			}
			d.diags.put(&hcl.Diagnostic{Severity: hcl.DiagError, Summary: fmt.Sprintf("--var %s: no such variable", name), Detail: remedy})
		}
	}
	d.base.Variables["var"] = cty.ObjectVal(vars)
	d.locals(locals)
}

// variable evaluates variable "NAME" { default = …  description = "…" }.
func (d *decoder) variable(b *hclsyntax.Block, vars map[string]cty.Value, declared map[string]hcl.Range) {
	if len(b.Labels) != 1 {
		d.diags.fail(b.DefRange(), "a variable block has one label, the variable's name", `Write variable "NAME" { default = … }.`)
		return
	}
	name := b.Labels[0]
	if first, ok := declared[name]; ok {
		d.twice(b.DefRange(), fmt.Sprintf("variable %q", name), first)
		return
	}
	declared[name] = b.DefRange()
	vars[name] = cty.DynamicVal
	if !hclsyntax.ValidIdentifier(name) {
		d.diags.fail(b.LabelRanges[0], fmt.Sprintf("%q cannot be the name of a variable", name), "Use letters, digits, - and _; a letter first.")
		return
	}
	for _, inner := range b.Body.Blocks {
		d.diags.fail(inner.TypeRange, fmt.Sprintf("there is no block %q in a variable", inner.Type), "A variable has a default and a description.")
	}
	fallback := cty.NilVal
	for _, a := range sorted(b.Body.Attributes) {
		switch a.Name {
		case "default":
			val, ok := d.value(a.Expr)
			if !ok {
				return
			}
			fallback = val
		case "description":
			d.value(a.Expr)
		case "type":
			d.diags.fail(a.NameRange, `there is no attribute "type" in a variable`, "A variable is what its default is; without a default it is a string. Leave type out.")
		default:
			d.diags.fail(a.NameRange, fmt.Sprintf("there is no attribute %q in a variable", a.Name), "A variable has a default and a description."+
				didYouMean(a.Name, []string{"default", "description"}))
		}
	}
	given, ok := d.options.Vars[name]
	from := "--var " + name
	if !ok {
		from = EnvPrefix + name
		given, ok = d.options.Env(from)
	}
	switch {
	case ok:
		val, err := valueLike(given, fallback)
		if err != nil {
			d.diags.fail(b.DefRange(), fmt.Sprintf("%s: %v", from, err), "The value must be of the same type as the default.")
			return
		}
		vars[name] = val
	case fallback == cty.NilVal:
		d.diags.fail(b.DefRange(), fmt.Sprintf("variable %q has no value", name),
			fmt.Sprintf("Give it one with --var %s=… or in the environment as %s%s, or add a default.", name, EnvPrefix, name))
	default:
		vars[name] = fallback
	}
}

// valueLike reads a value that came from outside as what the default is. Without a default it is a string.
func valueLike(given string, like cty.Value) (cty.Value, error) {
	val := cty.StringVal(given)
	if like == cty.NilVal || like.IsNull() || like.Type() == cty.String {
		return val, nil
	}
	if !like.Type().IsPrimitiveType() {
		if diag := tooDeep("", []byte(given)); diag != nil {
			return cty.NilVal, fmt.Errorf("%s", diag.Summary)
		}
		expr, diags := hclsyntax.ParseExpression([]byte(given), "", hcl.InitialPos)
		if diags.HasErrors() {
			return cty.NilVal, fmt.Errorf("%q is not %s: %s", given, article(kindOf(like.Type())), diags[0].Detail)
		}
		if val, diags = expr.Value(nil); diags.HasErrors() {
			return cty.NilVal, fmt.Errorf("%q is not %s: %s", given, article(kindOf(like.Type())), diags[0].Detail)
		}
		if kindOf(val.Type()) != kindOf(like.Type()) {
			return cty.NilVal, fmt.Errorf("%q is not %s", given, article(kindOf(like.Type())))
		}
		return val, nil // lists and maps of any length: their elements are checked where they are used
	}
	val, err := convert.Convert(val, like.Type())
	if err != nil {
		return cty.NilVal, fmt.Errorf("%q is not %s", given, article(like.Type().FriendlyName()))
	}
	return val, nil
}

func (d *decoder) localsOf(b *hclsyntax.Block) []*hclsyntax.Attribute {
	if len(b.Labels) > 0 {
		d.diags.fail(b.LabelRanges[0], "a locals block has no label", "Write locals { NAME = … }.")
	}
	for _, inner := range b.Body.Blocks {
		d.diags.fail(inner.TypeRange, fmt.Sprintf("there is no block %q in locals", inner.Type), "A locals block holds attributes only: NAME = VALUE.")
	}
	return sorted(b.Body.Attributes)
}

// locals evaluates local values, which may use variables and one another in any order.
func (d *decoder) locals(attrs []*hclsyntax.Attribute) {
	byName := map[string]*hclsyntax.Attribute{}
	for _, a := range attrs {
		if first, ok := byName[a.Name]; ok {
			d.twice(a.NameRange, fmt.Sprintf("local value %q", a.Name), first.NameRange)
			continue
		}
		byName[a.Name] = a
	}
	values := map[string]cty.Value{}
	for name := range byName {
		values[name] = cty.DynamicVal
	}
	d.base.Variables["local"] = cty.ObjectVal(values)

	// Each value is computed after those it uses; meeting one that is still open means going in circles.
	const open, done = 1, 2
	state := map[string]int{}
	var visit func(a *hclsyntax.Attribute) bool
	visit = func(a *hclsyntax.Attribute) bool {
		if state[a.Name] != 0 {
			return state[a.Name] == done
		}
		state[a.Name] = open
		circle := false
		for _, t := range a.Expr.Variables() {
			if t.RootName() != "local" || len(t) < 2 {
				continue
			}
			if name, _ := step(t[1]); byName[name] != nil && !visit(byName[name]) {
				circle = true
			}
		}
		state[a.Name] = done
		if circle {
			d.diags.fail(a.NameRange, fmt.Sprintf("local value %q is made of itself", a.Name), "Follow the values it uses: one of them leads back here.")
			return true
		}
		if val, ok := d.value(a.Expr); ok {
			values[a.Name] = val
			d.base.Variables["local"] = cty.ObjectVal(values)
		}
		return true
	}
	for _, a := range attrs {
		if byName[a.Name] == a {
			visit(a)
		}
	}
}

// twice reports what may be there once, naming both places.
func (d *decoder) twice(place hcl.Range, what string, first hcl.Range) {
	d.diags.fail(place, what+" is there twice", fmt.Sprintf("The first one is at %s. Keep one of them.", spot(first)))
}

// spot is a place as people write it: FILE:LINE.
func spot(r hcl.Range) string { return fmt.Sprintf("%s:%d", r.Filename, r.Start.Line) }

// sorted returns attributes as they were written.
func sorted(attrs hclsyntax.Attributes) []*hclsyntax.Attribute {
	return slices.SortedFunc(maps.Values(attrs), func(a, b *hclsyntax.Attribute) int {
		return cmp.Compare(a.SrcRange.Start.Byte, b.SrcRange.Start.Byte)
	})
}
