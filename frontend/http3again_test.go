package frontend

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"gatehouse/backend/h1"
)

// TestHTTP3OffAndOn: HTTP/3 is switched off and on again, and once more, while uploads are under way. They go on although others read the
// socket, newcomers are served each time it is on, and what a refused reload has prepared disturbs nobody.
func TestHTTP3OffAndOn(t *testing.T) {
	s := onScene(t, &Config{Name: "www"}, func(x *h1.Exchange) error {
		n := 0
		if x.Req.Body != nil {
			b, err := readAll(x.Req.Body)
			if err != nil {
				return err
			}
			n = len(b)
		}
		return says(fmt.Sprint(n))(x)
	})
	type upload struct {
		to   *io.PipeWriter
		over chan string
	}
	const half = 200_000
	begin := func() upload {
		t.Helper()
		pr, pw := io.Pipe()
		u := upload{pw, make(chan string, 1)}
		c := s.client()
		q, err := http.NewRequestWithContext(t.Context(), "POST", s.url("/"), pr)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			got, err := answer(c.Do(q))
			if err != nil {
				got = err.Error()
			}
			u.over <- got
		}()
		if _, err := pw.Write(make([]byte, half)); err != nil {
			t.Fatal(err)
		}
		return u
	}
	on, off := s.cfg, s.cfg
	off.HTTP3 = nil
	change := func(c ListenConfig) {
		t.Helper()
		if err := s.n.Prepare(&c); err != nil {
			t.Fatal(err)
		}
		s.n.TakeOver(c)
	}
	var list []upload
	for i := range 3 {
		list = append(list, begin())
		change(off)
		if i == 1 {
			if err := s.n.Prepare(&on); err != nil {
				t.Fatal(err)
			}
			s.n.Withdraw()
		}
		change(on)
		if got, err := answer(s.client().Get(s.url("/"))); got != "0" || err != nil {
			t.Fatalf("a newcomer, round %d: %q, %v", i, got, err)
		}
	}
	if n := len(s.n.former); n != 3 {
		t.Errorf("%d sides are left", n)
	}
	for i, u := range list {
		go func() {
			u.to.Write(make([]byte, half))
			u.to.Close()
		}()
		select {
		case got := <-u.over:
			if got != fmt.Sprint(2*half) {
				t.Errorf("upload %d: %s", i, got)
			}
		case <-time.After(patience):
			t.Errorf("upload %d does not end", i)
		}
	}
	for _, f := range s.n.former {
		f.alive.Wait()
	}
	change(off)
	change(on)
	if got, err := answer(s.client().Get(s.url("/"))); got != "0" || err != nil {
		t.Errorf("a newcomer at the end: %q, %v", got, err)
	}
	if n := len(s.n.former); n > 2 { // those that have just been told to go may still do so
		t.Errorf("%d sides are left", n)
	}
}

// TestHTTP3WasThere: a process that does not speak HTTP/3 where the one before did tells so to those who remember it.
func TestHTTP3WasThere(t *testing.T) {
	s := onScene(t, &Config{Name: "www"}, says("ok"))
	for _, had := range []bool{true, false} {
		c := s.cfg
		c.HTTP3, c.HadHTTP3 = nil, had
		n, err := Listen(c)
		if err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{true: "clear"}[had]
		if got := n.view.Load().altSvc; got != want {
			t.Errorf("it was there: %v, Alt-Svc %q", had, got)
		}
		n.TakeOver(c)
		if got := n.view.Load().altSvc; got != want {
			t.Errorf("it was there: %v, Alt-Svc %q after a reload", had, got)
		}
		c.HTTP3 = s.cfg.HTTP3
		if err := n.Prepare(&c); err != nil {
			t.Fatal(err)
		}
		n.TakeOver(c)
		if got, want := n.view.Load().altSvc, fmt.Sprintf(`h3=":%d"; ma=86400`, n.Addr().Port()); got != want {
			t.Errorf("Alt-Svc %q, want %q", got, want)
		}
		n.Abort()
		n.Wait()
	}
}
