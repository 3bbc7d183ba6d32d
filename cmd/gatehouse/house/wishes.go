package house

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"gatehouse/backend"
	"gatehouse/cmd/gatehouse/admin"
	"gatehouse/cmd/gatehouse/config"
)

// wishes are what the operator wants of servers at the moment, beyond what the configuration says: they hold over reloads and restarts,
// and whatever becomes of the configuration, until the operator takes them back or the server is in it no more. A file keeps them.
type wishes struct {
	log *zap.Logger

	mu   sync.Mutex // guards what follows, and the order in which pools hear of it
	file string
	by   map[string]map[string]wish // backend, server
}

// wish is what the operator wants of a server. What is nil is as configured.
type wish struct {
	State  *backend.State `json:"state,omitempty"`
	Weight *int           `json:"weight,omitempty"`
	Since  time.Time      `json:"since"`
}

// wishesFile is the name of the file in the state directory.
const wishesFile = "operator.json"

// newWishes reads the wishes kept in a directory. What cannot be read is no reason not to start.
func newWishes(dir string, log *zap.Logger) *wishes {
	w := &wishes{log: log, file: filepath.Join(dir, wishesFile), by: map[string]map[string]wish{}}
	text, err := os.ReadFile(w.file)
	if err == nil {
		err = json.Unmarshal(text, &w.by)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Error("what the operator wanted of servers is lost: they are as configured", zap.String("file", w.file), zap.Error(err))
		w.by = map[string]map[string]wish{}
	}
	return w
}

// save writes the file. A reader sees the old content or the new one, whatever happens. mu is held.
func (w *wishes) save() error {
	if len(w.by) == 0 {
		if err := os.Remove(w.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	text, err := json.MarshalIndent(w.by, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(w.file), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(w.file), wishesFile+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(text, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), w.file)
}

// saved saves, and puts into words what it means that it could not. mu is held.
func (w *wishes) saved() (notes []string) {
	if err := w.save(); err != nil {
		w.log.Error("what the operator wants of servers is not kept over a restart", zap.String("file", w.file), zap.Error(err))
		notes = append(notes, fmt.Sprintf("a restart will forget it: %v", err))
	}
	return notes
}

// move keeps the wishes in another directory from now on.
func (w *wishes) move(dir string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if file := filepath.Join(dir, wishesFile); file != w.file {
		old := w.file
		w.file = file
		if len(w.by) > 0 && len(w.saved()) == 0 {
			os.Remove(old)
		}
	}
}

// apply tells pools what is wished of their servers.
func (w *wishes) apply(pools map[string]*backend.Pool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, servers := range w.by {
		if p := pools[name]; p != nil {
			for server, x := range servers {
				p.SetWill(server, backend.Will{State: x.State, Weight: x.Weight}) // a server that is not there is pruned later
			}
		}
	}
}

// prune forgets servers that are not in the configuration, and says which.
func (w *wishes) prune(f *config.File) (notes []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(w.by)) {
		for _, server := range slices.Sorted(maps.Keys(w.by[name])) {
			if find(f, name, server) == nil {
				w.forget(name, server)
				notes = append(notes, fmt.Sprintf("%s/%s is not in the configuration any more: what the operator wanted of it is forgotten", name, server))
			}
		}
	}
	if len(notes) > 0 {
		w.saved()
	}
	return notes
}

func (w *wishes) forget(name, server string) {
	delete(w.by[name], server)
	if len(w.by[name]) == 0 {
		delete(w.by, name)
	}
}

// inForce says what is wished, for whoever might expect the configuration to be all that counts.
func (w *wishes) inForce(f *config.File) (notes []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(w.by)) {
		for _, server := range slices.Sorted(maps.Keys(w.by[name])) {
			if c := find(f, name, server); c != nil {
				x := w.by[name][server]
				for _, text := range inWords(backend.Will{State: x.State, Weight: x.Weight}, c.State, c.Weight) {
					notes = append(notes, fmt.Sprintf("%s/%s: %s", name, server, text))
				}
			}
		}
	}
	return notes
}

// inWords says what of a server's state is the operator's doing.
func inWords(will backend.Will, state backend.State, weight int) (words []string) {
	if will.State != nil {
		words = append(words, fmt.Sprintf("%s by the operator (configured: %s)", *will.State, state))
	}
	if will.Weight != nil {
		words = append(words, fmt.Sprintf("weight %d by the operator (configured: %d)", *will.Weight, weight))
	}
	return words
}

// find returns a server of the configuration, nil when there is none of that name.
func find(f *config.File, name, server string) *backend.Server {
	b := named(f.Backends, name, poolName)
	if b == nil {
		return nil
	}
	return named(b.Servers, server, func(s *backend.Server) string { return s.Name })
}

// Obey does what the operator wants of a server, at once and for as long as it is not taken back.
func (h *House) Obey(o admin.Order) (*admin.Obeyed, error) {
	w := h.wishes
	w.mu.Lock()
	defer w.mu.Unlock()
	g := h.gen.Load()
	p := g.pools[o.Backend]
	if p == nil {
		return nil, fmt.Errorf("%w backend %q: there is %s", admin.ErrUnknown, o.Backend, listOf(slices.Sorted(maps.Keys(g.pools))))
	}
	c := find(g.file, o.Backend, o.Server)
	if c == nil {
		var names []string
		for _, s := range p.Servers() {
			names = append(names, s.Name)
		}
		return nil, fmt.Errorf("%w server %q: backend %s has %s", admin.ErrUnknown, o.Server, o.Backend, listOf(names))
	}
	x := w.by[o.Backend][o.Server]
	if o.State != "" {
		var state backend.State
		if err := state.UnmarshalText([]byte(o.State)); err != nil {
			return nil, err
		}
		x.State = &state
		if state == c.State {
			x.State = nil
		}
	}
	if o.Weight != nil {
		x.Weight = &o.Weight.N
		if o.Weight.Configured || o.Weight.N == c.Weight {
			x.Weight = nil
		}
	}
	x.Since = time.Now().UTC().Truncate(time.Second)
	if err := p.SetWill(o.Server, backend.Will{State: x.State, Weight: x.Weight}); err != nil {
		return nil, err
	}
	if x.State == nil && x.Weight == nil {
		w.forget(o.Backend, o.Server)
	} else {
		if w.by[o.Backend] == nil {
			w.by[o.Backend] = map[string]wish{}
		}
		w.by[o.Backend][o.Server] = x
	}
	done := &admin.Obeyed{Notes: w.saved()}
	for _, s := range p.Servers() {
		if s.Name == o.Server {
			done.Server = serverStatus(o.Backend, s)
		}
	}
	if !p.Usable() {
		done.Notes = append(done.Notes, fmt.Sprintf("backend %s has no server for newcomers now", o.Backend))
	}
	h.o.Log.Info("the operator's order", zap.String("server", o.Backend+"/"+o.Server), zap.String("state", done.Server.State), zap.Int("weight", done.Server.Weight))
	return done, nil
}

// listOf reads "a, b and c".
func listOf(names []string) string {
	switch n := len(names); n {
	case 0:
		return "none"
	case 1:
		return names[0]
	default:
		text := names[0]
		for _, s := range names[1 : n-1] {
			text += ", " + s
		}
		return text + " and " + names[n-1]
	}
}
