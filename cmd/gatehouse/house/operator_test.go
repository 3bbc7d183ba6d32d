package house_test

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"gatehouse/cmd/gatehouse/admin"
)

// order tells the house what to do with a server of backend app.
func (s *lodge) order(server, state string) *admin.Obeyed {
	s.Helper()
	done, err := s.h.Obey(admin.Order{Backend: "app", Server: server, State: state})
	if err != nil {
		s.Fatal(err)
	}
	return done
}

// namedOrigin is a server that answers with its name, and ends no connection itself.
func namedOrigin(t testing.TB, name string) *origin {
	return newOrigin(t, func(w *wire) {
		w.SetDeadline(noTime)
		say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name)(w)
	})
}

const (
	sticky = "cookie \"S\" {}\n"
	holder = "GET / HTTP/1.1\r\nHost: a.test\r\nCookie: S=A\r\n\r\n"
)

// visits counts who answers n requests.
func (s *lodge) visits(n int, request string) map[string]int {
	s.Helper()
	c := s.client("www")
	defer c.Close()
	by := map[string]int{}
	for range n {
		a := c.ask(request)
		if a.status != 200 {
			s.Fatalf("%+v", a)
		}
		by[a.body]++
	}
	return by
}

// TestDrainKeepsHolders: holders of a drained server's cookie stay, and nobody else comes; in maintenance nobody does.
func TestDrainKeepsHolders(t *testing.T) {
	t.Parallel()
	a, b := namedOrigin(t, "A"), namedOrigin(t, "B")
	s := newLodge(t, web(sticky, a, b))
	if v := s.order("A", "drain").Server; v.State != "draining: only holders of its cookie come" || v.Newcomers || !v.Holders {
		t.Errorf("%+v", v)
	}
	if by := s.visits(6, get); by["B"] != 6 {
		t.Errorf("newcomers: %v", by)
	}
	if by := s.visits(6, holder); by["A"] != 6 {
		t.Errorf("holders: %v", by)
	}
	s.await("A has an idle connection", func() bool { return s.server("app", "A").Idle > 0 })
	if v := s.order("A", "maint").Server; v.State != "in maintenance" || v.Holders {
		t.Errorf("%+v", v)
	}
	if by := s.visits(6, holder); by["B"] != 6 {
		t.Errorf("holders of one in maintenance: %v", by)
	}
	s.await("its idle connections are closed", func() bool { return s.server("app", "A").Idle == 0 })
	if v := s.order("A", "ready").Server; v.State != "up" || len(v.Wishes) > 0 {
		t.Errorf("%+v", v)
	}
	if by := s.visits(6, get); by["A"] != 3 {
		t.Errorf("ready again: %v", by)
	}
	if done := s.order("A", "maint"); len(done.Notes) > 0 {
		t.Errorf("%q", done.Notes)
	}
	if done := s.order("B", "maint"); !slices.Equal(done.Notes, []string{"backend app has no server for newcomers now"}) {
		t.Errorf("%q", done.Notes)
	}
}

// TestMaintenanceLeavesWhatIsUnderWay: an exchange goes on to its end, and its connection is not kept.
func TestMaintenanceLeavesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	o := newOrigin(t, func(w *wire) {
		w.request()
		<-goOn
		w.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		w.rest()
	})
	s := newLodge(t, web("", o))
	c := s.client("www")
	c.send(get)
	s.await("it is with the server", func() bool { return s.server("app", "A").Active == 1 })
	if v := s.order("A", "maint").Server; v.Active != 1 {
		t.Errorf("%+v", v)
	}
	close(goOn)
	if a, err := c.answer("GET"); err != nil || a.body != "ok" {
		t.Errorf("%+v, %v", a, err)
	}
	s.await("nothing is under way or kept", func() bool { v := s.server("app", "A"); return v.Active == 0 && v.Idle == 0 })
}

// TestOperatorsWordHolds: over reloads that change the backend, over restarts, and against what the configuration says, until it is taken back.
func TestOperatorsWordHolds(t *testing.T) {
	t.Parallel()
	a, b := namedOrigin(t, "A"), namedOrigin(t, "B")
	s := newLodge(t, web(sticky, a, b))
	s.order("A", "drain")
	if _, err := s.h.Obey(admin.Order{Backend: "app", Server: "B", Weight: &admin.Weight{N: 7}}); err != nil {
		t.Fatal(err)
	}
	says := func(when string) {
		t.Helper()
		va, vb := s.server("app", "A"), s.server("app", "B")
		if va.Operator != "drain" || va.Newcomers || vb.Weight != 7 || !vb.Newcomers {
			t.Errorf("%s: %+v, %+v", when, va, vb)
		}
		if want := []string{"weight 7 by the operator (configured: 1)"}; !slices.Equal(vb.Wishes, want) {
			t.Errorf("%s: %q", when, vb.Wishes)
		}
	}
	says("at once")
	out := s.reload(web(sticky+"retries = 2\n", a, b))
	says("after a reload")
	if want := []string{"app/A: drain by the operator (configured: ready)", "app/B: weight 7 by the operator (configured: 1)"}; !slices.Equal(out.Notes, want) {
		t.Errorf("notes %q, want %q", out.Notes, want)
	}
	s.end(patience)
	s.start()
	says("after a restart")
	if by := s.visits(4, get); by["B"] != 4 {
		t.Errorf("newcomers: %v", by)
	}

	// A server that leaves the configuration is forgotten, and comes back as configured.
	out = s.reload(web(sticky, a))
	if len(out.Notes) == 0 || !strings.Contains(out.Notes[0], "app/B is not in the configuration any more") {
		t.Errorf("%q", out.Notes)
	}
	s.reload(web(sticky, a, b))
	if v := s.server("app", "B"); v.Weight != 1 || len(v.Wishes) > 0 {
		t.Errorf("%+v", v)
	}

	// What is taken back is forgotten too, and the file with the last of it.
	s.order("A", "ready")
	if _, err := os.Stat(s.path("state/operator.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is left: %v", err)
	}
}

// TestReadyOverrulesTheConfiguration: a server that is configured in maintenance takes requests when the operator says so, and a weight is
// given back by its own word alone.
func TestReadyOverrulesTheConfiguration(t *testing.T) {
	t.Parallel()
	a, b := namedOrigin(t, "A"), namedOrigin(t, "B")
	text := strings.Replace(web("", a, b), a.addr+"\" {}", a.addr+"\" { state = \"maint\" }", 1)
	s := newLodge(t, text)
	if v := s.server("app", "A"); v.State != "in maintenance" {
		t.Fatalf("%+v", v)
	}
	s.order("A", "ready")
	s.h.Obey(admin.Order{Backend: "app", Server: "A", Weight: &admin.Weight{N: 0}})
	s.order("A", "ready")
	if v := s.server("app", "A"); v.State != "up, weight 0: only holders of its cookie come" {
		t.Errorf("%+v", v)
	}
	s.h.Obey(admin.Order{Backend: "app", Server: "A", Weight: &admin.Weight{Configured: true}})
	s.end(patience)
	s.start()
	if v := s.server("app", "A"); v.State != "up" || !slices.Equal(v.Wishes, []string{"ready by the operator (configured: maint)"}) {
		t.Errorf("after a restart: %+v", v)
	}
}

// TestOrdersThatCannotBeObeyed say what there is instead.
func TestOrdersThatCannotBeObeyed(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, nil)
	s := newLodge(t, web("", o, o))
	for _, tt := range []struct {
		order   admin.Order
		unknown bool
		want    string
	}{
		{admin.Order{Backend: "ap", Server: "A", State: "drain"}, true, `unknown backend "ap": there is app`},
		{admin.Order{Backend: "app", Server: "C", State: "drain"}, true, `unknown server "C": backend app has A and B`},
		{admin.Order{Backend: "app", Server: "A", State: "gone"}, false, `state`},
		{admin.Order{Backend: "app", Server: "A", Weight: &admin.Weight{N: 257}}, false, "weight 257 is not from 0 to 256"},
		{admin.Order{Backend: "app", Server: "A", Weight: &admin.Weight{N: -1}}, false, "weight -1 is not from 0 to 256"},
	} {
		_, err := s.h.Obey(tt.order)
		if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, admin.ErrUnknown) != tt.unknown {
			t.Errorf("%+v: %v, want %q", tt.order, err, tt.want)
		}
	}
	if v := s.server("app", "A"); v.State != "up" || v.Weight != 1 {
		t.Errorf("%+v", v)
	}
}

// TestOperatorsFileIsNoCondition: a broken file is reported and does not keep the house from starting; one that cannot be written is said at once.
func TestOperatorsFileIsNoCondition(t *testing.T) {
	t.Parallel()
	s := newLodge(t, web("", newOrigin(t, nil)))
	s.order("A", "drain")
	s.end(patience)
	s.put("state/operator.json", `{"app": {"A": {"state": "dra`)
	s.start()
	if v := s.server("app", "A"); v.State != "up" {
		t.Errorf("%+v", v)
	}
	if s.told.FilterMessageSnippet("is lost").Len() != 1 {
		t.Error("nobody was told")
	}
	s.end(patience)
	os.RemoveAll(s.path("state"))
	s.put("state", "not a directory")
	s.start()
	if done := s.order("A", "drain"); len(done.Notes) == 0 || !strings.Contains(done.Notes[0], "a restart will forget it") || done.Server.Newcomers {
		t.Errorf("%+v", done)
	}
}

// TestGrace: when the house is told to end, monitors hear of it at once, addresses without a grace are closed, and the others go on for
// theirs.
func TestGrace(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, nil)
	s := newLodge(t, strings.Replace(web("", o), "log = log.access", "grace = \"1500ms\"\n monitor { uri = \"/alive\" }", 1)+
		"frontend \"relay\" {\n bind \"unix:DIR/relay\" {}\n backend = backend.app\n}\n")
	const alive = "GET /alive HTTP/1.1\r\nHost: a.test\r\n\r\n"
	c := s.client("www")
	if a := c.ask(alive); a.status != 200 {
		t.Fatalf("%+v", a)
	}
	done := make(chan error, 1)
	go func() { done <- s.end(patience) }()
	s.await("monitors are told", func() bool { return c.ask(alive).status == 503 })
	s.await("the other address is closed", func() bool { _, err := os.Stat(s.path("relay")); return err != nil })
	for range 3 {
		n := s.client("www")
		if a := n.ask(get); a.status != 200 || a.close {
			t.Errorf("during the grace: %+v", a)
		}
		n.Close()
	}
	select {
	case <-done:
		t.Fatal("ended before the grace was over")
	default:
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if s, err := io.ReadAll(c.r); len(s) > 0 || err != nil && !isReset(err) {
		t.Errorf("%q, %v", s, err)
	}
}
