package convert

import (
	"strings"
	"testing"
)

// pileOf converts a stunnel.conf and a haproxy.cfg together.
func pileOf(t *testing.T, stunnel, haproxy string) *Result {
	t.Helper()
	r, err := sound([]Input{{Stunnel, "stunnel.conf"}, {HAProxy, "haproxy.cfg"}}, memory(map[string]string{"stunnel.conf": stunnel, "haproxy.cfg": haproxy}))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestChainsCollapse(t *testing.T) {
	const farm = " mode http\n server s 10.0.0.1:80\n"
	for _, c := range []struct {
		why, stunnel, haproxy string
		binds                 string // of the first frontend
		fronts                int
	}{
		{"an inner address on the loopback goes", "connect = 127.0.0.1:8000", "listen f 127.0.0.1:8000\n" + farm, ":443", 1},
		{"a bare port is one of this machine", "connect = 8000", "listen f\n bind localhost:8000\n" + farm, ":443", 1},
		{"an address clients reach stays", "connect = 192.168.1.1:80", "listen f 192.168.1.1:80\n" + farm, ":443 192.168.1.1:80", 1},
		{"all addresses are this machine's too", "connect = 80", "listen f *:80\n" + farm, ":443 :80", 1},
		{"a socket", "connect = /run/f.sock", "listen f\n bind /run/f.sock\n" + farm, ":443", 1},
		{"both speak the PROXY protocol", "connect = 8000\nprotocol = proxy", "listen f\n bind 127.0.0.1:8000 accept-proxy\n" + farm, ":443", 1},
		{"only one of them speaks it: they never understood one another", "connect = 8000\nprotocol = proxy", "listen f\n bind 127.0.0.1:8000\n" + farm, "127.0.0.1:8000", 2},
		{"another port", "connect = 8001", "listen f 127.0.0.1:8000\n" + farm, "127.0.0.1:8000", 2},
		{"another machine", "connect = 10.9.9.9:80", "listen f *:80\n" + farm, ":80", 2},
		{"two servers are a choice", "connect = 8000\nconnect = 8001", "listen f 127.0.0.1:8000\n" + farm, "127.0.0.1:8000", 2},
		{"TLS inside stays TLS", "connect = 8000", "listen f\n bind 127.0.0.1:8000 ssl crt b.pem\n" + farm, "127.0.0.1:8000", 2},
	} {
		p := &pile{options: memory(nil), report: &Report{}, site: &site{}}
		for _, in := range []struct {
			read func(*pile, []*source) error
			text string
		}{{readHAProxy, c.haproxy}, {readStunnel, "cert = a.pem\n[https]\naccept = 443\n" + c.stunnel + "\n"}} {
			src, err := newSource("in", []byte(in.text))
			if err != nil {
				t.Fatal(err)
			}
			if err := in.read(p, []*source{src}); err != nil {
				t.Fatal(err)
			}
		}
		p.collapse()
		var binds []string
		for _, b := range p.site.fronts[0].binds {
			binds = append(binds, b.addr)
		}
		if got := strings.Join(binds, " "); got != c.binds || len(p.site.fronts) != c.fronts {
			t.Errorf("%s: got %d frontends, the first at %s; want %d, at %s", c.why, len(p.site.fronts), got, c.fronts, c.binds)
		}
	}
}

// The guide's relay of port 81 is there to be stopped by itself: it is no link of a chain.
func TestPlainRelaysStayApart(t *testing.T) {
	r := convertText(t, HAProxy, "listen farm :80\n mode http\n server s 10.0.0.1:80\nlisten checks :81\n mode tcp\n dispatch 127.0.0.1:80\n")
	if !strings.Contains(string(r.Text), `listen "checks"`) {
		t.Errorf("got:\n%s", r.Text)
	}
}

// Programs that lead to one another in circles are converted as they are.
func TestCirclesEnd(t *testing.T) {
	pileOf(t, "cert = a.pem\n[a]\naccept = 127.0.0.1:1\nconnect = 127.0.0.1:2\n[b]\naccept = 127.0.0.1:2\nconnect = 127.0.0.1:1\n",
		"listen c 127.0.0.1:3\n mode http\n server s 127.0.0.1:3\n")
}

// What only told the next program who the client is has nothing to tell any more; other exceptions of forwardfor stay.
func TestExceptionsForThoseInFrontGo(t *testing.T) {
	const stunnel = "cert = a.pem\n[https]\naccept = 443\nconnect = 127.0.0.1:8000\nxforwardedfor = yes\n"
	for _, c := range []struct{ except, want string }{
		{"127.0.0.1", ""},
		{"127.0.0.0/8", ""},
		{"10.0.0.0/8", `forwardfor { except = ["10.0.0.0/8"] }`},
	} {
		r := pileOf(t, stunnel, "listen f 127.0.0.1:8000\n mode http\n option forwardfor except "+c.except+"\n server s 10.0.0.1:80\n")
		if text := string(r.Text); !strings.Contains(text, c.want) || c.want == "" && strings.Contains(text, "forwardfor") {
			t.Errorf("except %s: got:\n%s", c.except, text)
		}
		if n := len(r.Report.Refusals()); n > 0 {
			t.Errorf("except %s: %d refusals", c.except, n)
		}
	}
}
