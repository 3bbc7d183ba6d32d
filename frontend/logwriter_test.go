package frontend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/backend/h1"
)

// testSink is an output whose behaviour a test commands.
type testSink struct {
	mu      sync.Mutex
	got     bytes.Buffer
	writes  int
	take    func(p []byte) (int, error) // nil: everything
	blocked chan struct{}               // not nil: Write waits until it is closed
	stop    chan struct{}               // closed by interrupt
	closed  bool
}

func newTestSink() *testSink { return &testSink{stop: make(chan struct{})} }

func (s *testSink) Write(p []byte) (int, error) {
	s.mu.Lock()
	blocked := s.blocked
	s.mu.Unlock()
	if blocked != nil {
		select {
		case <-blocked:
		case <-s.stop:
			return 0, errors.New("interrupted")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	n, err := len(p), error(nil)
	if s.take != nil {
		n, err = s.take(p)
	}
	s.got.Write(p[:n])
	return n, err
}

func (s *testSink) Close() error    { s.closed = true; return nil }
func (s *testSink) interrupt() bool { close(s.stop); return true }

// set changes the behaviour.
func (s *testSink) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *testSink) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.SplitAfter(s.got.String(), "\n")
}

// reports gathers what a log reports.
type reports struct {
	mu  sync.Mutex
	all []string
}

func (r *reports) add(msg string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, msg)
}

func (r *reports) said() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// numbered returns an exchange whose line tells its number.
func numbered(i int) *h1.Exchange {
	x := goodExchange()
	x.Req.Target = fmt.Appendf(nil, "/%d", i)
	return x
}

// numbers returns the numbers of lines, -1 for one that has none.
func numbers(t *testing.T, lines []string) (all []int) {
	t.Helper()
	for _, line := range lines {
		if line == "" { // behind the last newline
			continue
		}
		n := -1
		if _, req, ok := strings.Cut(line, `"GET /`); ok {
			if _, err := fmt.Sscanf(req, "%d HTTP/1.1\"\n", &n); err != nil {
				t.Errorf("line %q: %v", line, err)
			}
		}
		all = append(all, n)
	}
	return all
}

func upTo(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

func TestLogWritesBatchesAndWakesUpOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSink()
		l := newLog(&LogConfig{}, s, nil)
		go l.write()
		synctest.Wait()
		for i := range 5000 {
			l.Exchange(numbered(i))
		}
		time.Sleep(logPause + time.Millisecond)
		synctest.Wait()
		if got := numbers(t, s.lines()); !slices.Equal(got, upTo(5000)) {
			t.Errorf("%d lines came out, or in another order", len(got))
		}
		if s.writes > 2 {
			t.Errorf("%d writes for 5000 lines, want 2 at most: the first, and what came after it", s.writes)
		}
		// After a silence, a line is written at once.
		time.Sleep(time.Second)
		synctest.Wait()
		before := time.Now()
		l.Exchange(numbered(5000))
		synctest.Wait()
		if got := numbers(t, s.lines()); len(got) != 5001 || time.Since(before) != 0 {
			t.Errorf("the line after a silence waits: %d lines, %v", len(got), time.Since(before))
		}
		if err := l.Close(t.Context()); err != nil || !s.closed {
			t.Errorf("close: %v, closed %v", err, s.closed)
		}
	})
}

func TestBlockedOutputNeverBlocksTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newTestSink(), &reports{}
		block := make(chan struct{})
		s.blocked = block
		l := newLog(&LogConfig{Name: "access"}, s, r.add)
		go l.write()
		l.Exchange(numbered(0))
		synctest.Wait() // the writer has line 0 and is stuck with it

		total := 0
		for i := 1; l.Dropped() < 1234; i++ {
			l.Exchange(numbered(i))
			total = i
		}
		dropped := int(l.Dropped()) // whole stages at a time
		if len(r.said()) != 0 {
			t.Errorf("reported: %q", r.said())
		}

		close(block)
		time.Sleep(time.Second)
		l.Exchange(numbered(total + 1))
		synctest.Wait()
		lines := s.lines()
		got := numbers(t, lines)
		kept := slices.Index(got, -1) // what is in front of the notice
		if room := logBound / 200; kept < room/2 || kept > room*2 {
			t.Fatalf("%d lines are kept in %d bytes", kept, logBound)
		}
		want := append(upTo(kept), -1)
		for i := kept + dropped; i <= total+1; i++ {
			want = append(want, i)
		}
		if !slices.Equal(got, want) {
			t.Errorf("of lines 0 to %d, the first %d, a notice and those after the %d dropped ones should have come out: %d lines", total, kept, dropped, len(lines))
		}
		if got, want := lines[kept], fmt.Sprintf("gatehouse: %d log lines dropped\n", dropped); got != want {
			t.Errorf("the notice is %q", got)
		}
		if want := []string{fmt.Sprintf("log access: %d lines dropped: the output did not take them", dropped)}; !slices.Equal(r.said(), want) {
			t.Errorf("reported %q, want %q", r.said(), want)
		}
		l.Close(t.Context())
	})
}

func TestFailingOutputIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newTestSink(), &reports{}
		full := errors.New("write /var/log/gatehouse.log: no space left on device")
		s.take = func(p []byte) (int, error) { return min(len(p), 77), full } // never a whole line
		l := newLog(&LogConfig{Name: "access"}, s, r.add)
		go l.write()
		for i := range 100 {
			l.Exchange(numbered(i))
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if s.writes < 5 || s.writes > 15 {
			t.Errorf("%d tries in 20 seconds", s.writes)
		}
		s.set(func() { s.take = nil })
		time.Sleep(logRetryMax + time.Second)
		synctest.Wait()
		if got := numbers(t, s.lines()); !slices.Equal(got, upTo(100)) {
			t.Errorf("lines are lost, double or torn: %v", got)
		}
		if want := []string{"log access: " + full.Error(), "log access: written again"}; !slices.Equal(r.said(), want) {
			t.Errorf("reported %q, want %q", r.said(), want)
		}
		if l.Dropped() != 0 {
			t.Errorf("%d lines dropped", l.Dropped())
		}
		l.Close(t.Context())
	})
}

func TestReopenRescuesTheLineThatWasCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full, fresh := newTestSink(), newTestSink()
		room := 300 // one line and a half
		full.take = func(p []byte) (int, error) {
			n := min(len(p), room)
			room -= n
			return n, errors.New("full")
		}
		l := newLog(&LogConfig{}, full, nil)
		l.reopen = func() (sink, error) { return fresh, nil }
		for i := range 10 {
			l.Exchange(numbered(i))
		}
		go l.write()
		synctest.Wait()
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		first := strings.Count(full.got.String(), "\n")
		got := numbers(t, append(full.lines()[:first], fresh.lines()...))
		if !slices.Equal(got, upTo(10)) || first == 0 || !full.closed {
			t.Errorf("lines %v in two outputs, %d in the first, closed %v", got, first, full.closed)
		}
		l.Close(t.Context())
	})
}

func TestReopenThatFailsKeepsTheOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSink()
		l := newLog(&LogConfig{Name: "access"}, s, nil)
		l.reopen = func() (sink, error) { return nil, errors.New("gone") }
		go l.write()
		if err := l.Reopen(); err == nil || err.Error() != "log access: gone" {
			t.Error(err)
		}
		l.Exchange(numbered(0))
		l.Close(t.Context())
		if got := numbers(t, s.lines()); len(got) != 1 {
			t.Errorf("%v", got)
		}
	})
}

func TestCloseWritesWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSink()
		l := newLog(&LogConfig{}, s, nil)
		go l.write()
		for i := range 1000 {
			l.Exchange(numbered(i))
		}
		if err := l.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := numbers(t, s.lines()); !slices.Equal(got, upTo(1000)) {
			t.Errorf("%d lines", len(got))
		}
		l.Exchange(numbered(1000))
		if l.Dropped() != 1 {
			t.Error("a line after Close is not counted as dropped")
		}
		if err := l.Close(t.Context()); err != nil {
			t.Errorf("second close: %v", err)
		}
	})
}

func TestCloseGivesUpOnAnOutputThatFails(t *testing.T) {
	for first := range 5 { // lines that the writer has when the others come
		synctest.Test(t, func(t *testing.T) {
			s := newTestSink()
			s.take = func([]byte) (int, error) { return 0, errors.New("full") }
			l := newLog(&LogConfig{Name: "access"}, s, nil)
			go l.write()
			for i := range 5 {
				if i == first {
					synctest.Wait()
				}
				l.Exchange(numbered(i))
			}
			if err := l.Close(t.Context()); err == nil || err.Error() != "log access: 5 lines lost: full" {
				t.Errorf("%d before: close: %v", first, err)
			}
			if l.Dropped() != 5 {
				t.Errorf("%d before: %d lines dropped, want 5", first, l.Dropped())
			}
		})
	}
}

func TestCloseGivesUpOnAnOutputThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestSink()
		s.blocked = make(chan struct{})
		l := newLog(&LogConfig{Name: "access"}, s, nil)
		go l.write()
		l.Exchange(numbered(0))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		before := time.Now()
		if err := l.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close: %v", err)
		}
		if d := time.Since(before); d != time.Minute {
			t.Errorf("gave up after %v", d)
		}
	})
}

func TestLogOfSeveralLoops(t *testing.T) {
	s := newTestSink()
	l := newLog(&LogConfig{}, s, nil)
	go l.write()
	const loops, each = 4, 2000
	var wg sync.WaitGroup
	for range loops {
		wg.Go(func() {
			for i := range each {
				l.Exchange(numbered(i))
			}
		})
	}
	wg.Wait()
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	count := make([]int, each)
	for _, n := range numbers(t, s.lines()) {
		count[n]++
	}
	for i, n := range count {
		if n != loops {
			t.Fatalf("line %d came out %d times, want %d", i, n, loops)
		}
	}
}

// A busy log, with its writer at work: what the event loop pays for a line.
func BenchmarkExchange(b *testing.B) {
	l, err := OpenLog(&LogConfig{Output: os.DevNull}, nil)
	if err != nil {
		b.Fatal(err)
	}
	x := goodExchange()
	b.ReportAllocs()
	for b.Loop() {
		l.Exchange(x)
	}
	b.ReportMetric(float64(l.Dropped())/float64(b.N), "dropped/op")
	l.Close(b.Context())
}
