package cache

import (
	"errors"
	"io"
	"strings"
	"testing"

	"gatehouse/backend/h1"
	"gatehouse/backend/loop"
)

// A request may look at one stored answer and be given another one, which came while it waited: then it gets the content of that one.
func TestContentIsThatOfTheAnswerGiven(t *testing.T) {
	disked(t, func(t *testing.T, dir string) {
		r := newRig(t, 1, onDisk(dir))
		defer r.close()
		r.answers("HTTP/1.1 200 OK\nCache-Control: max-age=60\n\nshort")
		r.get("/page")
		r.flush()
		x := &h1.Exchange{Loop: r.loops[0]}
		x.Reset()
		if _, err := x.Req.Parse([]byte("GET /page HTTP/1.1\r\nHost: shop.example.com\r\n\r\n"), nil); err != nil {
			t.Fatal(err)
		}
		done := make(chan bool)
		r.loops[0].Post(func() {
			r.loops[0].Go(loop.Func(func() {
				defer close(done)
				a := r.cache.take(x)
				defer r.cache.give(a)
				a.rule = r.cache.rules.match(x.Req.Target)
				a.setKey()
				_, old := a.recall(nil)
				if old == nil || old.stored == nil || a.held == nil {
					t.Fatalf("nothing on the disk: %+v", old)
				}
				const longer = "and this one is longer"
				came := &entry{size: int64(len(longer)), content: [][]byte{[]byte(longer)}}
				for range 2 { // either, whichever was looked at before
					if a.ready(came) != came {
						t.Error("what is in memory is not ready")
					}
					if got, err := readAll(a, came); got != longer || err != nil {
						t.Errorf("got %q, %v", got, err)
					}
					if a.ready(old) != old {
						t.Error("what is on the disk is not ready any more")
					}
					if got, err := readAll(a, old); got != "short" || err != nil {
						t.Errorf("got %q, %v", got, err)
					}
				}
				came.size++
				a.ready(came)
				if got, err := readAll(a, came); got != longer || !errors.Is(err, errShort) {
					t.Errorf("content that is too short: got %q, %v", got, err)
				}
			}))
		})
		<-done
	})
}

// readAll reads the content of an entry as the body of the response.
func readAll(a *ask, e *entry) (string, error) {
	var got strings.Builder
	a.segments, a.segment = nil, 0
	a.supply(e)
	for {
		p, err := a.Next(true)
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return got.String(), err
		}
		got.Write(p.Data())
		if p.Last {
			return got.String(), nil
		}
	}
}
