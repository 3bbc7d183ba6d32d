package config

import (
	"os"
	"os/user"
	"strconv"
	"strings"
	"testing"
)

// TestAccount: who is meant by a user and a group, by name and by number, and what is said about those that are not there.
func TestAccount(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Skip("this machine does not know who runs the test: ", err)
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		t.Skip(err)
	}
	const unnamed = "2123456789"
	if _, err := user.LookupId(unnamed); err == nil {
		t.Fatal("somebody has that number")
	}
	other, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("no user nobody: ", err)
	}
	uid, gid := number(t, other.Uid), number(t, other.Gid)
	for _, tt := range []struct {
		user, group string
		uid, gid    int
		fault       string
	}{
		{"", "", 0, 0, ""},
		{"nobody", "", uid, gid, ""},
		{other.Uid, "", uid, gid, ""},
		{"nobody", group.Name, uid, number(t, me.Gid), ""},
		{"nobody", "12345", uid, 12345, ""},
		{unnamed, "12345", number(t, unnamed), 12345, ""},
		{unnamed, "", 0, 0, "nobody knows its group"},
		{"no-such-user", "", 0, 0, `there is no user "no-such-user" on this machine`},
		{"nobody", "no-such-group", 0, 0, `there is no group "no-such-group" on this machine`},
		{"root", "", 0, 0, `user "root" is root`},
		{"0", "", 0, 0, "is root"},
		{"-1", "", 0, 0, "there is no user"},
		{"99999999999", "1", 0, 0, "there is no user"},
	} {
		a, err := (&Global{User: tt.user, Group: tt.group}).Account()
		switch {
		case tt.fault != "":
			if err == nil || !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("%q, %q: %v, want %q", tt.user, tt.group, err, tt.fault)
			}
		case err != nil:
			t.Errorf("%q, %q: %v", tt.user, tt.group, err)
		case tt.user == "":
			if a != nil {
				t.Errorf("nobody is %+v", a)
			}
		case a.UID != tt.uid || a.GID != tt.gid:
			t.Errorf("%q, %q: %+v", tt.user, tt.group, a)
		}
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestUnknownUserIsFoundWithTheFiles: a configuration is read anywhere, and often checked on another machine than the one it shall serve on.
func TestUnknownUserIsFoundWithTheFiles(t *testing.T) {
	name := t.TempDir() + "/gatehouse.hcl"
	text := "global {\n  user = \"no-such-user\"\n}\nfrontend \"www\" {\n  bind \":80\" {}\n  route { respond = 404 }\n}\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, diags := Load([]string{name}, Options{})
	if diags.HasErrors() {
		t.Fatal("refused without a look at this machine")
	}
	f.VerifyFiles()
	var out strings.Builder
	diags.Print(&out)
	if diags.HasErrors() || !strings.Contains(out.String(), "Warning: ") || !strings.Contains(out.String(), "gatehouse.hcl:2") && !strings.Contains(out.String(), "line 2") || !strings.Contains(out.String(), "useradd --system") {
		t.Errorf("%s", out.String())
	}
}
