package config

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Format returns a configuration file in the usual layout: two blanks a level, equals signs of neighbours below one another. A
// file with syntax errors is returned as it is, with the errors.
func Format(name string, text []byte) ([]byte, *Diagnostics) {
	diags := newDiagnostics()
	diags.files[name] = &hcl.File{Bytes: text}
	if diag := tooDeep(name, text); diag != nil {
		diags.put(diag)
		return text, diags
	}
	f, problems := hclsyntax.ParseConfig(text, name, hcl.InitialPos)
	for _, p := range problems {
		diags.put(p)
	}
	if diags.HasErrors() {
		return text, diags
	}
	diags.files[name] = f
	return hclwrite.Format(text), diags
}
