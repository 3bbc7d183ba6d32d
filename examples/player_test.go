package examples

import (
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/backend/loop"
)

// relayStage builds the simplest house there is: it relays bytes, the first connection to webA, the next to webB, and so on.
func relayStage(n *network, file string) (*stage, error) {
	if file != "gatehouse.hcl" {
		return nil, errors.New("no file " + file)
	}
	const check = "HEAD /index.html HTTP/1.0"
	st := &stage{front: houseAt, log: new(logLines)}
	for i, name := range []string{"webA", "webB"} {
		st.servers = append(st.servers, &server{
			backend: "webfarm", name: name, cookie: name[3:], checks: []string{check},
			at: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 168, 1, byte(11 + i)}), 80),
		})
	}
	l, turn := loop.NewMem(0), 0
	var door io.Closer
	st.start = func() (err error) {
		inLoop(l, func() {
			for _, s := range st.servers {
				if c, err := n.dial(l, loop.Dial{To: loop.Addr{AddrPort: s.at}}); err == nil {
					io.WriteString(c, check+"\r\n\r\n")
					io.Copy(io.Discard, c)
					c.Close()
				}
			}
		})
		door, err = n.listen(l, loop.Addr{AddrPort: houseAt}, func(s loop.Socket) {
			to := st.servers[turn%2]
			turn++
			c, err := l.Adopt(s)
			if err != nil {
				return
			}
			l.Go(loop.Func(func() {
				defer c.Close()
				up, err := n.dial(l, loop.Dial{To: loop.Addr{AddrPort: to.at}, Timeout: 5 * time.Second})
				if err != nil {
					return
				}
				defer up.Close()
				l.Go(loop.Func(func() {
					io.Copy(c, up)
					c.CloseWrite()
				}))
				io.Copy(up, c)
				up.CloseWrite()
				io.Copy(io.Discard, up)
			}))
		})
		return err
	}
	st.close = func() error { err := door.Close(); l.Stop(); return err }
	return st, nil
}

// playRelay plays a flow at the house that relays bytes.
func playRelay(t *testing.T, text string) (err error) {
	t.Helper()
	f, err := parseFlow("flow", text)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(houseAt.Addr())
		err = newPlayer(n, func(file string, _ netip.Addr) (*stage, error) { return relayStage(n, file) }).play(f)
	})
	return err
}

const greet = "c1 > GET /\nwebA < GET /\nwebA > 200\n  A: b\n  | hi\n"

func TestPlayerPlays(t *testing.T) {
	for _, text := range []string{
		"",
		greet + "c1 < 200\n  A: b\n  | hi\nc1 > GET /again\nwebA < GET /again\n  = Host: 192.168.1.1\nwebA > 204\nc1 < 204\n",
		greet + "c1 < 200\nc1 new\nc1 > GET /\nwebB < GET /\nwebB > 200\nc1 < 200\n",
		"c1 > HEAD /\nwebB|webA < HEAD /\nit > 200\n  | unsent\nc1 < 200\n",
		"c1 > GET /\n* < GET /\nit > 200\n  Who: $it.cookie\nc1 < 200\n  Who: A\n",
		"webA checked HEAD /index.html HTTP/1.0\n  ! Host\n",
		"pick ABAB\npick AB x3\nsomebody pick 4 of BA\nc2 pick 1 same\nc2 pick 1 other\npick 8 spread A=1 B=1\n",
		`c1 >> "a\r\n"` + "\n" + `webA << "a\r\n"` + "\n" + `webA >> "b"` + "\n" + `c1 << "b"` + "\nc1 > EOF\nwebA < EOF\nwebA > EOF\nc1 < EOF\n",
		"c1 > GET /\nwebA < GET /\nclose webA\nc1 < EOF\nc1 > GET /\nwebB < GET /\nclose c1\nwebB < EOF\n",
		"down webA\nc1 > GET /\nc1 < EOF within 1s\nup webA\nc1 > GET /\nwebB < GET /\n",
		"hang webfarm/webA\nc1 > GET /\nc1 < EOF after 5s\n",
		"c1 > GET /\nwebA < GET /\nwait 3s\nwebA > 100\nc1 < 100 within 1s\nwebA > 200\nc1 < 200\nc1 < nothing\nwebA < nothing\n",
		"webA checks 404\nhouse gatehouse.hcl\nwebA checked HEAD /index.html\npick AB\n",
		"c1 > GET /a\nwebA < GET /a\nc2 > GET /b\nwebB < GET /b\nc3 > GET /c\nwebA < GET /c\n" + `webA >> "a" on /a` + "\n" + `c1 << "a"` + "\n" +
			`c1 >> "b"` + "\n" + `webA << "b" on /a` + "\n",
		"c1 connect\nclose c1\nc1 new\nlog nothing\n",
		"c1 > GET /\nwebA < GET /\nwebA from 192.168.1.1\nwebA checked from 192.168.1.1\nwebA checked 0 times in 5s\n",
		"c1 > GET /\nwebA < GET /\nhang webA\nwebA > 200\nc1 < nothing\nup webA\nc1 < EOF\n",
		"c1 > GET /1\nc2 > GET /2\nc3 > GET /3\nwebA < GET /3\nwebA < GET /1\nwebB < GET /2\nwebA > 203\nc3 < 203\nwebA > 200\nc1 < 200\n",
	} {
		if err := playRelay(t, text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPlayerNotices(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"# hello\n" + greet + "c1 < 404", `flow:7: hello: c1 < 404: got "HTTP/1.1 200 OK"`},
		{greet + "c1 < 200\n  A: c", "c1 < 200: no A: c\n\tHTTP/1.1 200 OK\n\tContent-Length: 2\n\tA: b\n\t| \"hi\""},
		{greet + "c1 < 200\n  | ho", "content is"},
		{greet, "at the end: c1 got what no line received"},
		{"c1 > GET /\n", `at the end: webA got what no line received: "GET / HTTP/1.1`},
		{"c1 > GET /\nwebB < GET /", "webB < GET /: nothing came within 10s; webA got what no line received"},
		{"c1 > GET /\nwebA < GET /x", `webA < GET /x: got "GET / HTTP/1.1"`},
		{"c1 > GET /\nwebA < GET /\n  ! Host", "there is a Host: 192.168.1.1"},
		{"c1 > GET /\nwebA < nothing", "got \"GET /"},
		{"c1 > GET /\nwebA < GET /\nc1 < EOF within 2s", "the connection is open after 2s"},
		{greet + "c1 < EOF", "got \"HTTP/1.1 200 OK"},
		{greet + "c1 < nothing", "got \"HTTP/1.1 200 OK"},
		{"c1 > GET /\nwebA < GET /\nc1 < 200 within 2s", "nothing came within 2s"},
		{"c1 > GET /\nwebA < GET /\nclose webA\nc1 < 200", "the connection was closed"},
		{"c1 > GET /\nwebA < GET /\nwait 2s\nwebA > 200\nc1 < 200 after 2s", "came after 0s"},
		{"hang webA\nc1 > GET /\nc1 < EOF after 4s", "came after 5.0"},
		{`c1 >> "ab"` + "\n" + `webA << "ac"`, `got "ab"`},
		{"pick AAB", "pick AAB: got ABA"},
		{"pick 2 same", "got AB"},
		{"pick 2 of A", "got AB"},
		{"pick 1 other", "got A after "},
		{"c2 pick 1 same\npick 1 same\nc2 pick 1 other", "got A after A"},
		{"pick 8 spread A=1 B=2", "wanted 3 of A"},
		{"down webA\npick A", "pick 1: nothing came"},
		{"webA checked 2 times in 5s", "0 checks came"},
		{"webA checked from 10.9.9.9", "no such check came"},
		{"c1 > GET /\nwebA < GET /\nwebA from 10.9.9.9", "it came from 192.168.1.1"},
		{`webA >> "x" on /a`, "it received nothing of that kind yet"},
		{"webA from 192.168.1.1", "it received nothing yet"},
		{"webA checked GET /", `got "HEAD /index.html HTTP/1.0"`},
		{"webC < GET /", "webC is no server"},
		{"webC > 200", "webC is no server"},
		{"down webC", "webC is no server"},
		{"down webA:81", "webA has no port 81"},
		{"webA > 200", "no request waits"},
		{"it > 200", "nobody received anything"},
		{"c1 < 200", "it has no connection"},
		{"close c1", "c1 has no connection"},
		{"c1 > GET /\nwebA < GET /\nreset webA\nc1 < EOF\nc1 tls shop.example.com", "no address of the configuration speaks TLS"},
		{"c1 > GET /\nwebA < GET /\nclose webA\nwait 1s\nc1 > GET /", "its connection is over (EOF)"},
		{"c1 to 10.0.0.9:80\nc1 > GET /", "connection refused"},
		{"log ~ x", "no line came"},
		{"house other.hcl", "no file other.hcl"},
	} {
		err := playRelay(t, c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got error %v, want %q in it", c.text, err, c.want)
		}
	}
}
