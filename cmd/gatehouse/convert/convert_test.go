package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// convertText converts one text and fails the test if that is impossible.
func convertText(t *testing.T, kind Kind, text string) *Result {
	t.Helper()
	r, err := sound([]Input{{kind, "in"}}, memory(map[string]string{"in": text}))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// entryOf returns what the report says of a line.
func entryOf(t *testing.T, r *Result, line int) *Entry {
	t.Helper()
	for _, e := range r.Report.Entries {
		if e.Line == line {
			return e
		}
	}
	t.Fatalf("nothing is said of line %d", line)
	return nil
}

func TestBrokenInputIsAnErrorWithItsPlace(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		text string
		want string
	}{
		{HAProxy, "mode http\n", `in:1: "mode" stands before any section`},
		{HAProxy, "listen a\n  bind \":80\n", "in:2: a quote \" is not closed"},
		{HAProxy, "listen a\n  server 'x\n", "in:2: a quote ' is not closed"},
		{HAProxy, "listen a\n.if 1\n", "in:2: .if without .endif"},
		{HAProxy, "listen a\n.endif\n", "in:2: .endif without .if"},
		{HAProxy, "listen a\n.if 1\n.else\n.else\n.endif\n", "in:4: .else twice"},
		{HAProxy, "listen a\n\x00\x01", "in:2: byte 0x00: this is not a text file"},
		{HAProxy, "\xff\xfel\x00i\x00", "in:1: the text is UTF-16: save it as UTF-8"},
		{HAProxy, "\n\"\" x\n", "in:2: the line begins with an empty word"},
		{Stunnel, "accept 443\n", `in:1: "accept 443" is no option: it has no equals sign`},
		{Stunnel, "\n[https\n", "in:2: the name of a section is not closed"},
		{Stunnel, "cert = x\n-----BEGIN RSA PRIVATE KEY-----\n", "in:2: a private key: this is not a configuration"},
		{Apache, "<VirtualHost *:80>\nServerName x\n", "in:1: <VirtualHost> is not closed"},
		{Apache, "<VirtualHost *:80>\n</Location>\n", "in:2: </Location> where </virtualhost> of line 1 is missing"},
		{Apache, "</IfModule>\n", "in:1: </IfModule> without <IfModule>"},
		{Apache, "<VirtualHost *:80\n", "in:1: a section's head is not closed by >"},
		{Apache, "ServerName \"x\n", "in:1: a quote is not closed"},
		{Nginx, "server {\n listen 80;\n", `in:1: the brace of "server" is not closed`},
		{Nginx, "server { }\n}\n", "in:2: a closing brace too many"},
		{Nginx, "listen 80\n", `in:1: "listen" is not ended by a semicolon`},
		{Nginx, "\nlisten \"80;\n", "in:2: a quote is not closed"},
		{Nginx, "{", `in:1: "{" without a directive before it`},
		{Nginx, "x_by_lua_block {\n a = {}\n", "in:1: a block of a script is not closed"},
	} {
		_, err := Convert([]Input{{c.kind, "in"}}, memory(map[string]string{"in": c.text}))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s %q: got %v, want %s", c.kind, c.text, err, c.want)
		}
		if syntax := (*SyntaxError)(nil); !errors.As(err, &syntax) {
			t.Errorf("%s %q: %T is no *SyntaxError", c.kind, c.text, err)
		}
	}
}

// Who names the wrong program is told which one it looks like.
func TestTheWrongProgramIsNamed(t *testing.T) {
	texts := map[Kind]string{
		HAProxy: "global\n maxconn 10\nlisten a :80\n server s 10.0.0.1:80\n",
		Stunnel: "cert = a.pem\n[a]\naccept = 443\nconnect = 80\n",
		Apache:  "Listen 80\n<VirtualHost *:80>\nServerName a\nProxyPass / http://10.0.0.1/\n</VirtualHost>\n",
		Nginx:   "http {\n server {\n listen 80;\n }\n}\n",
	}
	told := 0
	for is, text := range texts {
		for named := range kinds {
			_, err := Convert([]Input{{Kind(named), "in"}}, memory(map[string]string{"in": text}))
			switch {
			case err == nil:
			case Kind(named) == is:
				t.Errorf("%s: %v", is, err)
			case !strings.Contains(err.Error(), "Is it a configuration of "+is.String()+"? Then write --"+is.String()):
				t.Errorf("%s read as %s: %v", is, Kind(named), err)
			default:
				told++
			}
		}
	}
	if told < 6 {
		t.Errorf("only %d mistakes were noticed", told)
	}
}

// Whatever is in a line, the report stays one that can be read.
func TestReportsAreBounded(t *testing.T) {
	r := convertText(t, HAProxy, "listen a :80\n mode http\n server s 10.0.0.1:80 "+strings.Repeat("x", 1<<20)+"\n")
	for _, e := range r.Report.Entries {
		if len(e.Directive)+len(e.Reason) > 2000 {
			t.Errorf("an entry of %d bytes", len(e.Directive)+len(e.Reason))
		}
	}
}

// All files that cannot be read are named at once.
func TestErrorsAreJoined(t *testing.T) {
	_, err := Convert([]Input{{HAProxy, "nowhere.cfg"}, {Stunnel, "in"}, {Nginx, "in"}}, memory(map[string]string{"in": "}"}))
	for _, want := range []string{"in:1: \"}\" is no option", "in:1: a closing brace too many"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s in it", err, want)
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist in it", err)
	}
}

func TestUnknownDirectivesAreRefused(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		text string
		line int
	}{
		{HAProxy, "listen a :80\n  mode http\n  frobnicate on\n  server s 10.0.0.1:80\n", 3},
		{HAProxy, "global\n  frobnicate\nlisten a :80\n  mode http\n  server s 10.0.0.1:80\n", 2},
		{HAProxy, "listen a :80\n  mode http\n  option frobnicate\n  server s 10.0.0.1:80\n", 3},
		{HAProxy, "listen a :80\n  mode http\n  server s 10.0.0.1:80 frobnicate\n", 3},
		{HAProxy, "listen a\n  mode http\n  bind :80 frobnicate\n  server s 10.0.0.1:80\n", 3},
		{Stunnel, "frobnicate = 1\ncert = x.pem\n[a]\naccept = 443\nconnect = 80\n", 1},
		{Stunnel, "cert = x.pem\n[a]\naccept = 443\nconnect = 80\nfrobnicate = 1\n", 5},
		{Apache, "Listen 80\nFrobnicate On\nProxyPass / http://10.0.0.1/\n", 2},
		{Nginx, "server {\nlisten 80;\nfrobnicate on;\nlocation / { proxy_pass http://10.0.0.1; }\n}\n", 3},
	} {
		r := convertText(t, c.kind, c.text)
		if e := entryOf(t, r, c.line); e.Verdict != Refused {
			t.Errorf("%s %q: %s is %s", c.kind, c.text, e.Directive, e.Verdict)
		}
		if r.Text == nil {
			t.Errorf("%s %q: the rest is lost", c.kind, c.text)
		}
	}
}

// What the language itself refuses is left out, by name, and the rest stays.
func TestWhatTheLanguageRefusesIsRefused(t *testing.T) {
	r := convertText(t, HAProxy, `
listen a
  mode http
  bind :80
  cookie "S;X" insert
  server s 10.0.0.1:80 weight 999
  server u 10.0.0.2:80 cookie a|b
listen b :80
  mode http
  server t 10.0.0.3:80
`)
	for _, line := range []int{5, 6, 8} {
		if e := entryOf(t, r, line); e.Verdict != Refused || !strings.HasPrefix(e.Reason, "the new configuration cannot have it: ") {
			t.Errorf("%s is %s: %s", e.Directive, e.Verdict, e.Reason)
		}
	}
	if !bytes.Contains(r.Text, []byte(`listen "a"`)) {
		t.Errorf("the rest is lost:\n%s", r.Text)
	}
}

// An address that only holders of a certificate could use is not opened for everybody.
func TestGuardedAddressesStayClosed(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		text string
	}{
		{HAProxy, "listen a\n mode http\n bind :80\n bind :443 ssl crt a.pem ca-file ca.pem verify required\n server s 10.0.0.1:80\n"},
		{Stunnel, "cert = a.pem\n[open]\naccept = 80\nconnect = 8080\n[guarded]\naccept = 443\nconnect = 8080\nverifyChain = yes\nCAfile = ca.pem\n"},
		{Stunnel, "cert = a.pem\n[open]\naccept = 80\nconnect = 8080\n[guarded]\naccept = 443\nconnect = 8080\nPSKsecrets = psk\n"},
		{Apache, "<VirtualHost *:80>\nProxyPass / http://10.0.0.1/\n</VirtualHost>\n<VirtualHost *:443>\nSSLEngine on\nSSLCertificateFile a.pem\nSSLVerifyClient require\nProxyPass / http://10.0.0.1/\n</VirtualHost>\n"},
		{Nginx, "server { listen 80; location / { proxy_pass http://10.0.0.1; } }\nserver { listen 443 ssl; ssl_certificate a.pem; ssl_verify_client on; location / { proxy_pass http://10.0.0.1; } }\n"},
	} {
		r := convertText(t, c.kind, c.text)
		if guarded := bytes.Contains(r.Text, []byte("client_auth")); len(r.Report.Refusals()) == 0 && !guarded || bytes.Contains(r.Text, []byte(":443")) && !guarded {
			t.Errorf("%s: the guarded address is open, with %s:\n%s", c.kind, r.Report.Summary(), r.Text)
		}
		if !bytes.Contains(r.Text, []byte(`bind ":80"`)) {
			t.Errorf("%s: the open address is lost:\n%s", c.kind, r.Text)
		}
	}
}

func TestSecretsStayOutOfTheReport(t *testing.T) {
	r := convertText(t, HAProxy, "userlist u\n user joe insecure-password hunter2\nlisten a :80\n mode http\n stats auth admin:hunter2\n server s 10.0.0.1:80\n")
	report, err := json.Marshal(r.Report)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(report, []byte("hunter2")) || bytes.Contains(r.Text, []byte("hunter2")) {
		t.Errorf("the password is there:\n%s\n%s", report, r.Text)
	}
}

func TestIncludesAreFollowed(t *testing.T) {
	for _, c := range []struct {
		kind  Kind
		files map[string]string
	}{
		{Apache, map[string]string{"in": "Include sites/*.conf\n", "sites/a.conf": "<VirtualHost *:80>\nProxyPass / http://10.0.0.1/\n</VirtualHost>\n"}},
		{Nginx, map[string]string{"in": "http { include sites/*; }\n", "sites/a": "server { location / { proxy_pass http://10.0.0.1; } }\n"}},
		{Stunnel, map[string]string{"in": "cert = a.pem\ninclude = conf.d\n", "conf.d/a": "[a]\naccept = 80\nconnect = 10.0.0.1:80\n"}},
	} {
		r, err := sound([]Input{{c.kind, "in"}}, memory(c.files))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(r.Text, []byte("10.0.0.1:80")) {
			t.Errorf("%s: what is included is lost:\n%s", c.kind, r.Text)
		}
		if files := slices.IndexFunc(r.Report.Entries, func(e *Entry) bool { return e.File != "in" }); files < 0 {
			t.Errorf("%s: the included file is not in the report", c.kind)
		}
	}
}

// A file that includes itself ends with an error, not with the memory.
func TestIncludesInCirclesEnd(t *testing.T) {
	for kind, text := range map[Kind]string{Apache: "Include in\nInclude in\n", Nginx: "include in; include in;\n", Stunnel: "include = .\ninclude = .\n"} {
		_, err := Convert([]Input{{kind, "in"}}, memory(map[string]string{"in": text}))
		if err == nil || !strings.Contains(err.Error(), "include") {
			t.Errorf("%s: got %v", kind, err)
		}
	}
}

func TestDirectoriesStandForTheirFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"1.cfg": "defaults\n mode http\n", "2.cfg": "listen a :80\n server s 10.0.0.1:80\n", "notes.txt": "none", ".3.cfg": "none"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := sound([]Input{{HAProxy, dir}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Report.Entries) != 4 || !bytes.Contains(r.Text, []byte(`listen "a"`)) {
		t.Errorf("%s:\n%s", r.Report.Summary(), r.Text)
	}
	if _, err := Convert([]Input{{Stunnel, dir}}, Options{}); err == nil || !strings.Contains(err.Error(), "ends in .conf") {
		t.Errorf("got %v for a directory without a file", err)
	}
	if _, err := Convert([]Input{{Nginx, "/dev/zero"}}, Options{}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v for a device", err)
	}
}

// Latin-1, as in the comments of old files, a byte order mark, and lines that end in CR LF.
func TestTextOfOtherTimes(t *testing.T) {
	r := convertText(t, Stunnel, "\ufeff; f\xfcr alle\r\ncert = a.pem\r\n[a] \r\naccept = 443\r\nconnect = 80\r\n")
	if !bytes.Contains(r.Text, []byte("# für alle\n")) || !bytes.Contains(r.Text, []byte(`listen "a"`)) {
		t.Errorf("got:\n%s", r.Text)
	}
}

// Nothing that was written in an old file can break out of the string or comment it is in.
func TestNothingBreaksOut(t *testing.T) {
	r := convertText(t, HAProxy, "# ${file(\"/etc/passwd\")}\x85 x\nlisten \"a\\\"${env(1)}\" :80\n mode http\n server s 10.0.0.1:80 source 10.0.0.2 cookie \"x\\\" }\"\n cookie C insert\n")
	if !bytes.Contains(r.Text, []byte(`\"$${env(1)}`)) {
		t.Errorf("got:\n%s", r.Text)
	}
}

func TestPiecesWithoutAListener(t *testing.T) {
	r := convertText(t, HAProxy, "global\n maxconn 100\n")
	if r.Text != nil || len(r.Report.Entries) != 2 {
		t.Errorf("%s:\n%s", r.Report.Summary(), r.Text)
	}
}

func TestReportAsJSON(t *testing.T) {
	r := convertText(t, HAProxy, "listen a :80\n mode http\n stick-table type ip\n server s 10.0.0.1:80\n")
	text, err := json.Marshal(r.Report)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Summary    map[string]int
		Directives []struct {
			File, Directive, Verdict, Reason string
			Line                             int
		}
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.Summary["total"] != 4 || got.Summary["refused"] != 1 || len(got.Directives) != 4 {
		t.Errorf("got %s", text)
	}
	if d := got.Directives[2]; d.File != "in" || d.Line != 3 || d.Directive != "stick-table type ip" || d.Verdict != "refused" || d.Reason != reasonTables {
		t.Errorf("got %+v", d)
	}
}

func TestReportAsTable(t *testing.T) {
	r := convertText(t, HAProxy, "listen a :80\n mode http\n stick-table type ip\n server s 10.0.0.1:80\n")
	var all, refused bytes.Buffer
	if err := errors.Join(r.Report.WriteTable(&all), r.Report.WriteTable(&refused, Refused)); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(all.String(), "\n"); n != 4 {
		t.Errorf("%d lines:\n%s", n, all.String())
	}
	if want := fmt.Sprintf("refused  in:3  stick-table type ip  %s\n", reasonTables); refused.String() != want {
		t.Errorf("got %q, want %q", refused.String(), want)
	}
	if got := r.Report.Summary(); got != "4 directives: 1 kept, 1 folded, 1 noted, 1 refused" {
		t.Error(got)
	}
}
