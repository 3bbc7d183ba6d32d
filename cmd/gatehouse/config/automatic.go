package config

import (
	"reflect"

	"gatehouse/backend/h1"
	"gatehouse/frontend"
	"gatehouse/tlsconf"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// automaticTLS is the tls block that frontends use which say hosts and nothing of addresses.
const automaticTLS = "auto"

// automatic gives frontends with hosts and without a bind what a site of today has: port 443 with certificates that are obtained by
// themselves, and port 80, which leads there. What is decoded is what the operator could have written.
func (d *decoder) automatic() {
	used := false
	for _, f := range d.file.Frontends {
		if len(f.Hosts) == 0 || len(f.Binds) > 0 {
			continue
		}
		used = true
		place := d.file.Range(f)
		tls := cty.CapsuleVal(referenceType, &reference{"tls", automaticTLS})
		d.invent(f, place, map[string]cty.Value{"address": cty.StringVal(":443"), "tls": tls})
		if f.Mode == h1.HTTP {
			d.invent(f, place, map[string]cty.Value{"address": cty.StringVal(":80"), "redirect": cty.StringVal("https")})
		}
	}
	if _, written := d.known["tls"][automaticTLS]; used && !written {
		c := &tlsconf.Config{Name: automaticTLS}
		acme := &hcl.BodyContent{Blocks: hcl.Blocks{{Type: "acme", Body: hcl.EmptyBody()}}}
		d.structure(acme, reflect.ValueOf(c).Elem(), d.root.block("tls").form, hcl.Range{}, reflect.Value{})
		d.file.TLS = append(d.file.TLS, c)
	}
}

// invent gives a frontend a bind with those attributes. Complaints about it point to place.
func (d *decoder) invent(f *frontend.Config, place hcl.Range, values map[string]cty.Value) {
	content := &hcl.BodyContent{Attributes: hcl.Attributes{}}
	for name, v := range values {
		content.Attributes[name] = &hcl.Attribute{Name: name, Expr: hcl.StaticExpr(v, place), Range: place, NameRange: place}
	}
	b := &frontend.Bind{}
	d.structure(content, reflect.ValueOf(b).Elem(), d.root.block("frontend").form.block("bind").form, place, reflect.Value{})
	f.Binds = append(f.Binds, b)
}
