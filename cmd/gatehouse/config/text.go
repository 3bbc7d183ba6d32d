package config

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// LoadText is Load of one configuration that is in memory. Name is what diagnostics call it.
func LoadText(name string, text []byte, o Options) (*File, *Diagnostics) {
	diags := newDiagnostics()
	return load([]source{{name, text}}, o, diags), diags
}

// List returns the errors and warnings in the order they were found. It is a copy.
func (d *Diagnostics) List() hcl.Diagnostics { return slices.Clone(d.list) }
