package house

import (
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"gatehouse/backend"
	"gatehouse/cmd/gatehouse/admin"
	"gatehouse/cmd/gatehouse/config"
	"gatehouse/frontend"
)

// readyTime is how long a reload waits for the first verdict on servers that are new or checked otherwise than before. A check that takes
// longer finds the server unusable until it has ended.
const readyTime = 5 * time.Second

// reload is a reload that was asked for, by whoever waits for it.
type reload struct {
	outcome *admin.Outcome
	over    chan struct{}
}

// Reload reads the configuration anew and puts it in charge, or refuses it as a whole and changes nothing. One comes after the other; who asks
// while another one waits for its turn gets that one's outcome. From any goroutine that is no loop's.
func (h *House) Reload() *admin.Outcome {
	h.mu.Lock()
	if h.stopping() {
		h.mu.Unlock()
		return h.unwilling(&admin.Outcome{Time: time.Now()}, "gatehouse is stopping")
	}
	r := h.waiting
	if r == nil {
		r = &reload{over: make(chan struct{})}
		h.waiting = r
		h.after.Go(func() {
			h.turn.Lock()
			h.mu.Lock()
			h.waiting = nil // what is asked for from now on may be about files that are read no more
			h.mu.Unlock()
			r.outcome = h.reload()
			h.turn.Unlock()
			close(r.over)
		})
	}
	h.mu.Unlock()
	<-r.over
	return r.outcome
}

// unwilling refuses a reload whatever the configuration says.
func (h *House) unwilling(out *admin.Outcome, why string) *admin.Outcome {
	out.Unwilling, out.Generation = why, h.gen.Load().number
	return out
}

// reload is Reload, one at a time.
func (h *House) reload() *admin.Outcome {
	began := time.Now()
	old := h.gen.Load()
	if h.o.Reloading != nil {
		h.o.Reloading()
	}
	out := &admin.Outcome{Time: began}
	g, diags := h.next(old, out)
	if g != nil {
		h.install(g, old)
		out.Done = true
		out.Notes = append(out.Notes, h.wishes.prune(g.file)...)
		out.Notes = append(out.Notes, h.wishes.inForce(g.file)...)
	}
	if diags != nil {
		var text strings.Builder
		diags.Print(&text)
		out.Diagnostics = text.String()
		out.Errors, out.Warnings = diags.Count()
	}
	now := h.gen.Load()
	out.Generation, out.Seconds = now.number, time.Since(began).Seconds()
	h.mu.Lock()
	h.last = out
	if out.Done {
		h.done++
	} else {
		h.refused++
	}
	h.mu.Unlock()
	if h.o.Reloaded != nil {
		h.o.Reloaded(old.file, now.file)
	}
	h.tell(out)
	return out
}

// tell writes what became of a reload to the log: whoever sent a signal looks there.
func (h *House) tell(out *admin.Outcome) {
	for _, line := range out.Changes {
		h.o.Log.Info("reload: " + line)
	}
	for _, line := range out.Notes {
		h.o.Log.Info("reload: " + line)
	}
	switch {
	case out.Unwilling != "":
		h.o.Log.Warn("no reload: " + out.Unwilling)
	case !out.Done:
		h.o.Log.Error(fmt.Sprintf("reload refused, generation %d serves on\n%s", out.Generation, strings.TrimRight(out.Diagnostics, "\n")))
	case out.Diagnostics != "":
		h.o.Log.Warn(fmt.Sprintf("reloaded, generation %d serves, with warnings\n%s", out.Generation, strings.TrimRight(out.Diagnostics, "\n")))
	default:
		h.o.Log.Info("reloaded", zap.Int("generation", out.Generation), zap.Int("changes", len(out.Changes)), zap.Float64("seconds", out.Seconds))
	}
}

// next makes the next generation, complete but for being in charge; nil when the configuration is refused. Diags says why, or warns.
func (h *House) next(old *generation, out *admin.Outcome) (*generation, *config.Diagnostics) {
	switch {
	case h.stopping():
		h.unwilling(out, "gatehouse is stopping")
		return nil, nil
	case h.o.Load == nil:
		h.unwilling(out, "there is no configuration to read anew")
		return nil, nil
	}
	f, diags := h.o.Load()
	if diags.HasErrors() {
		return nil, diags
	}
	out.Changes = config.Diff(old.file, f)
	g, bad := h.build(f, old)
	if len(bad) == 0 {
		if bad = h.open(g, old); len(bad) > 0 {
			h.abandon(g, old)
		}
	}
	if len(bad) > 0 {
		for _, x := range bad {
			f.Bad(x.field, x.problem, x.remedy)
		}
		out.Changes = nil
		return nil, diags
	}
	h.wishes.apply(g.pools)
	limit := time.NewTimer(readyTime)
	defer limit.Stop()
	for name, p := range g.pools {
		if p != old.pools[name] {
			p.Start()
		}
	}
wait:
	for _, p := range g.pools {
		select {
		case <-p.Ready():
		case <-limit.C:
			break wait
		case <-h.stop: // it shall have its turn, and then end
			break wait
		}
	}
	return g, diags
}

// install puts g in charge in the place of old. It cannot fail.
func (h *House) install(g, old *generation) {
	g.since = time.Now()
	h.wishes.move(g.file.Global.StateDir)
	h.process.SetMax(g.file.Global.MaxConnections)
	for _, f := range g.fronts {
		f.TakeOver()
	}
	g.takeOver()
	for _, d := range g.doors {
		if old.listener(d.address) == d.n {
			d.n.TakeOver(h.listen(g, d))
		} else {
			d.n.Open()
		}
	}
	g.yielded = nil
	h.gen.Store(g)
	h.manage(g)
	h.wishes.apply(g.pools) // once more: the operator may have spoken meanwhile
	h.retire(old, g)
}

// retire lets go of what old had and g has not. What exchanges still need stays until they end.
func (h *House) retire(old, g *generation) {
	var closed []*frontend.Listener
	for _, d := range old.doors {
		if g.listener(d.address) != d.n {
			d.n.Shutdown()
			closed = append(closed, d.n)
		}
	}
	var pools []*backend.Pool
	for name, p := range old.pools {
		if p != g.pools[name] {
			pools = append(pools, p)
		}
	}
	var certs []*certificates
	for name, c := range old.certs {
		if c != g.certs[name] {
			certs = append(certs, c)
		}
	}
	var logs []*frontend.Log
	for name, l := range old.logs {
		if l != g.logs[name] {
			logs = append(logs, l)
		}
	}
	var gone []*frontend.Frontend // of a name that is no more: whoever is still under way there logs where it did
	for name, f := range old.fronts {
		if g.fronts[name] == nil {
			gone = append(gone, f)
		}
	}
	if old.page != nil && old.page != g.page {
		old.page.Close()
	}
	socket := old.socket
	if socket == g.socket {
		socket = nil
	}
	h.mu.Lock()
	for _, n := range closed {
		h.retiring[n] = true
	}
	h.mu.Unlock()
	grace := g.file.Global.ShutdownGrace
	h.after.Go(func() {
		for _, p := range pools {
			p.Close()
		}
		for _, c := range certs {
			c.Close()
		}
		old.closeCaches(g)
		closeKeeper(old, g)
		if socket != nil {
			socket.Close() // waits for the answer to whoever has asked for this reload
		}
		h.finish(closed, grace)
		h.mu.Lock()
		for _, n := range closed {
			delete(h.retiring, n)
		}
		h.mu.Unlock()
		h.closeLogs(logs, gone)
	})
}

// finish waits for listeners that were shut down, at most for as long as grace; 0 or less: no limit.
func (h *House) finish(list []*frontend.Listener, grace time.Duration) {
	if len(list) == 0 {
		return
	}
	done := make(chan struct{})
	go func() {
		for _, n := range list {
			n.Wait()
		}
		close(done)
	}()
	var limit <-chan time.Time
	if grace > 0 {
		t := time.NewTimer(grace)
		defer t.Stop()
		limit = t.C
	}
	select {
	case <-done:
		return
	case <-limit:
	case <-h.ctx.Done():
	}
	for _, n := range list {
		n.Abort()
	}
	<-done
}

// closeLogs closes logs when the last line that belongs there is written: frontends that go on have others by now, those that are gone
// write until their last exchange has ended.
func (h *House) closeLogs(logs []*frontend.Log, gone []*frontend.Frontend) {
	if len(logs) == 0 {
		return
	}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for _, f := range gone {
		for f.Stats.Active.Load() > 0 && h.ctx.Err() == nil {
			select {
			case <-again.C:
			case <-h.ctx.Done():
			}
		}
	}
	// A line may be being written on a loop at this very moment, to a log that was looked up just before it was replaced.
	for _, l := range h.o.Loops {
		passed := make(chan struct{})
		l.Post(func() { close(passed) })
		select {
		case <-passed:
		case <-h.ctx.Done():
		}
	}
	for _, l := range logs {
		closeLog(l)
	}
}
