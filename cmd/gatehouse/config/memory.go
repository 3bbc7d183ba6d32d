package config

import "github.com/hashicorp/hcl/v2"

// A memory knows where each field of the decoded structs was written, by the field's address. A pointer to a struct and one to
// its first field are different keys, because their types differ.
type memory struct {
	fields  map[any]seen
	spoiled map[any]bool // structs in which a value was refused: half of what they say is not there
}

func newMemory() *memory { return &memory{fields: map[any]seen{}, spoiled: map[any]bool{}} }

// seen is what is known about a field's source.
type seen struct {
	place     hcl.Range // of the expression; of the block's header when the attribute was not written
	written   bool
	inherited bool // taken from another block, where its mistakes are reported
	failed    bool // its value was refused, and that was said
}

func (m *memory) of(field any) seen { return m.fields[field] }

func (m *memory) put(field any, place hcl.Range, written bool) {
	m.fields[field] = seen{place: place, written: written}
}

// inherit notes that field was taken from another block.
func (m *memory) inherit(field any) {
	s := m.fields[field]
	s.inherited = true
	m.fields[field] = s
}

// fail notes that field was reported as wrong, so that nobody complains about its zero value too.
func (m *memory) fail(field any) {
	s := m.fields[field]
	s.failed = true
	m.fields[field] = s
}
