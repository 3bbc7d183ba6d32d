package config

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// refKinds are the blocks that attributes refer to, as in backend = backend.webfarm.
var refKinds = []string{"backend", "cache", "log", "tls"}

// A reference is the value of backend.webfarm.
type reference struct{ kind, name string }

var referenceType = cty.Capsule("reference", reflect.TypeFor[reference]())

// names makes the blocks known to the expressions that refer to them. A listen block is a backend too.
func (d *decoder) names(blocks hcl.Blocks) {
	for _, kind := range refKinds {
		d.known[kind] = map[string]hcl.Range{}
	}
	for _, b := range blocks {
		kind := b.Type
		if kind == "listen" {
			kind = "backend"
		}
		if known := d.known[kind]; known != nil && len(b.Labels) > 0 {
			if _, ok := known[b.Labels[0]]; !ok {
				known[b.Labels[0]] = b.DefRange
			}
		}
	}
	for kind, known := range d.known {
		group := map[string]cty.Value{}
		for name := range known {
			group[name] = cty.CapsuleVal(referenceType, &reference{kind, name})
		}
		d.base.Variables[kind] = cty.ObjectVal(group)
	}
}

// reference evaluates an attribute. Where it is a reference, the value is the name of the block.
func (d *decoder) reference(a *hcl.Attribute, it *item) (cty.Value, bool) {
	kind := it.tag.Get("ref")
	if kind == "" {
		return d.value(a.Expr)
	}
	if t, diags := hcl.AbsTraversalForExpr(a.Expr); !diags.HasErrors() && len(t) == 1 {
		if _, ok := d.known[kind][t.RootName()]; ok {
			d.diags.fail(a.Expr.Range(), fmt.Sprintf("%s is no reference", it.name), fmt.Sprintf("Write %s = %s.%s.", it.name, kind, t.RootName()))
			d.lost[kind] = true
			return cty.DynamicVal, false
		}
	}
	val, ok := d.value(a.Expr)
	if !ok {
		d.lost[kind] = true
	}
	if !ok || val.IsNull() {
		return val, ok
	}
	if val.Type() != referenceType {
		remedy := fmt.Sprintf("Write %s = %s.NAME, without quotes.", it.name, kind)
		if val.Type() == cty.String {
			if name := nearest(val.AsString(), keys(d.known[kind])); name != "" {
				remedy = fmt.Sprintf("Write %s = %s.%s, without quotes.", it.name, kind, name)
			}
		}
		d.diags.fail(a.Expr.Range(), fmt.Sprintf("%s is no reference", it.name), remedy)
		d.lost[kind] = true
		return cty.DynamicVal, false
	}
	ref := val.EncapsulatedValue().(*reference)
	if ref.kind != kind {
		d.diags.fail(a.Expr.Range(), fmt.Sprintf("%s refers to %s block", it.name, article(ref.kind)), fmt.Sprintf("It takes %s: %s = %s.NAME.", article(kind), it.name, kind))
		return cty.DynamicVal, false
	}
	return cty.StringVal(ref.name), true
}

func keys(m map[string]hcl.Range) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// cross checks what no block can see alone.
func (d *decoder) cross() {
	d.listenNames()
	d.overlaps()
	d.modes()
	d.caches()
	d.disks()
	d.ports()
	d.unused()
	d.redirects()
	d.certificates()
	if len(d.file.Frontends) == 0 && len(d.diags.order) > 0 && len(d.diags.broken) == 0 {
		d.diags.put(&hcl.Diagnostic{Severity: hcl.DiagError, Summary: "no frontend",
			Detail: "Nobody could come in. Add a frontend block, or a listen block, which is a frontend and a backend in one."})
	}
}

// listenNames refuses a listen block that is called like a frontend or a backend.
func (d *decoder) listenNames() {
	for _, l := range d.file.Listens {
		for _, f := range d.file.Frontends {
			if f != &l.Frontend && f.Name == l.Frontend.Name && !d.isListen(f) {
				d.twice(d.file.Range(&l.Frontend.Name), fmt.Sprintf("frontend %q", f.Name), d.file.Range(f))
			}
		}
		for _, b := range d.file.Backends {
			if b != &l.Backend && b.Name == l.Backend.Name && !d.isListen(b) {
				d.twice(d.file.Range(&l.Backend.Name), fmt.Sprintf("backend %q", b.Name), d.file.Range(b))
			}
		}
		if d.file.Written(&l.Frontend.Backend) {
			d.file.Bad(&l.Frontend.Backend, "a listen block is its own backend", "Leave the attribute out, or write a frontend block.")
		}
	}
}

// isListen reports whether half is one half of a listen block. Two listen blocks of one name were reported when they were read.
func (d *decoder) isListen(half any) bool {
	return slices.ContainsFunc(d.file.Listens, func(l *Listen) bool { return half == any(&l.Frontend) || half == any(&l.Backend) })
}

// unused warns of blocks that nothing refers to. Where a reference could not be read, it may be the one.
func (d *decoder) unused() {
	if len(d.diags.broken) > 0 {
		return // the reference may be hidden by a syntax error
	}
	used := map[reference]bool{}
	for _, f := range d.file.Frontends {
		used[reference{"backend", f.Backend}] = true
		used[reference{"cache", f.Cache}] = true
		used[reference{"log", f.Log}] = true
		for _, b := range f.Binds {
			used[reference{"tls", b.TLS}] = true
		}
		for _, r := range f.Routes {
			used[reference{"backend", r.Backend}] = true
		}
	}
	for _, b := range d.file.Backends {
		if !used[reference{"backend", b.Name}] && !d.isListen(b) && !d.lost["backend"] {
			d.file.Warn(b, fmt.Sprintf("backend %q is not used", b.Name), fmt.Sprintf("No frontend and no route says backend = backend.%s.", b.Name))
		}
	}
	for _, t := range d.file.TLS {
		if !used[reference{"tls", t.Name}] && !d.lost["tls"] {
			d.file.Warn(t, fmt.Sprintf("tls %q is not used", t.Name), fmt.Sprintf("No bind says tls = tls.%s.", t.Name))
		}
	}
	for _, c := range d.file.Caches {
		if !used[reference{"cache", c.Name}] && !d.lost["cache"] {
			d.file.Warn(c, fmt.Sprintf("cache %q is not used", c.Name), fmt.Sprintf("No frontend says cache = cache.%s.", c.Name))
		}
	}
	for _, l := range d.file.Logs {
		if !used[reference{"log", l.Name}] && !d.lost["log"] {
			d.file.Warn(l, fmt.Sprintf("log %q is not used", l.Name), fmt.Sprintf("No frontend says log = log.%s.", l.Name))
		}
	}
}
