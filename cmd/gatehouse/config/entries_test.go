package config

import (
	"testing"

	"gatehouse/backend/h1"

	"github.com/google/go-cmp/cmp"
)

// A map is read in the order in which it is written; lists in it are several entries, and computed ones are sorted.
func TestEntries(t *testing.T) {
	file, diags := LoadText("in.hcl", []byte(`
locals {
  policy = { "X-B" = "2", "X-A" = "1" }
  name   = "X-Computed"
}
listen "www" {
  bind ":80" {}
  request_headers {
    set = {
      X-Z          = "{host}"
      "X-A"        = ["1", 2, true]
      (local.name) = local.policy["X-B"]
    }
  }
  response_headers {
    add    = merge(local.policy, { "X-C" = "3" })
    remove = ["Server"]
  }
  server "a" "10.0.0.1:80" {}
}
`), Options{Env: noEnv})
	if diags.HasErrors() {
		t.Fatal(printed(t, diags))
	}
	f := file.Frontends[0]
	want := []*h1.HeaderRules{
		{Set: []h1.FieldRule{{Name: "X-Z", Value: "{host}"}, {Name: "X-A", Value: "1"}, {Name: "X-A", Value: "2"}, {Name: "X-A", Value: "true"}, {Name: "X-Computed", Value: "2"}}},
		{Add: []h1.FieldRule{{Name: "X-A", Value: "1"}, {Name: "X-B", Value: "2"}, {Name: "X-C", Value: "3"}}, Remove: []string{"Server"}},
	}
	if diff := cmp.Diff(want, []*h1.HeaderRules{f.RequestHeaders, f.ResponseHeaders}); diff != "" {
		t.Error(diff)
	}
	// They would count twice.
	if b := file.Backends[0]; b.RequestHeaders != nil || b.ResponseHeaders != nil {
		t.Error("the backend of a listen block has the rules too")
	}
}
