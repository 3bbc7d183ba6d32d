package admin

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metric is a series of /metrics, and how to find its values in a Status.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	each func(s *Status, send func(v float64, labels ...string))
}

func gauge(name, help string, labels []string, each func(s *Status, send func(v float64, labels ...string))) metric {
	return metric{prometheus.NewDesc("gatehouse_"+name, help, labels, nil), prometheus.GaugeValue, each}
}

func counter(name, help string, labels []string, each func(s *Status, send func(v float64, labels ...string))) metric {
	return metric{prometheus.NewDesc("gatehouse_"+name+"_total", help, labels, nil), prometheus.CounterValue, each}
}

// of is a metric of the whole process.
func of(value func(s *Status) float64) func(*Status, func(float64, ...string)) {
	return func(s *Status, send func(float64, ...string)) { send(value(s)) }
}

func ofFrontends(value func(f *Frontend) float64) func(*Status, func(float64, ...string)) {
	return func(s *Status, send func(float64, ...string)) {
		for i := range s.Frontends {
			send(value(&s.Frontends[i]), s.Frontends[i].Name)
		}
	}
}

func ofCompressors(value func(c *Compress) float64) func(*Status, func(float64, ...string)) {
	return func(s *Status, send func(float64, ...string)) {
		for _, f := range s.Compressors() {
			send(value(f.Compress), f.Name)
		}
	}
}

// ofCounts is a metric of what compressors count by a word.
func ofCounts(list func(c *Compress) []Count) func(*Status, func(float64, ...string)) {
	return func(s *Status, send func(float64, ...string)) {
		for _, f := range s.Compressors() {
			for _, c := range list(f.Compress) {
				send(float64(c.N), f.Name, c.What)
			}
		}
	}
}

func ofBackends(value func(b *Backend) float64) func(*Status, func(float64, ...string)) {
	return func(s *Status, send func(float64, ...string)) {
		for i := range s.Backends {
			send(value(&s.Backends[i]), s.Backends[i].Name)
		}
	}
}

func ofServers(value func(v *Server) float64) func(*Status, func(float64, ...string)) {
	return func(s *Status, send func(float64, ...string)) {
		for _, b := range s.Backends {
			for i := range b.Servers {
				send(value(&b.Servers[i]), b.Name, b.Servers[i].Name)
			}
		}
	}
}

func ofCaches(value func(c *Cache) float64) func(*Status, func(float64, ...string)) {
	return func(s *Status, send func(float64, ...string)) {
		for i := range s.Caches {
			send(value(&s.Caches[i]), s.Caches[i].Name)
		}
	}
}

func ofDisks(value func(d *Disk) float64) func(*Status, func(float64, ...string)) {
	return func(s *Status, send func(float64, ...string)) {
		for _, c := range s.Disks() {
			send(value(c.Disk), c.Name)
		}
	}
}

// ofManaged is a metric of the names for which certificates are obtained.
func ofManaged(value func(c *Certificate) float64) func(*Status, func(float64, ...string)) {
	return func(s *Status, send func(float64, ...string)) {
		for i := range s.Certificates {
			if c := &s.Certificates[i]; c.Source == "acme" {
				send(value(c), c.TLS, c.Name())
			}
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var (
	byFrontend = []string{"frontend"}
	byBackend  = []string{"backend"}
	byServer   = []string{"backend", "server"}
	byCache    = []string{"cache"}
	byName     = []string{"tls", "name"}
)

// metrics are all there are, besides those of the Go runtime and of the process.
var metrics = []metric{
	gauge("info", "The version that runs.", []string{"version"}, func(s *Status, send func(float64, ...string)) { send(1, s.Version) }),
	gauge("start_time_seconds", "When the process started.", nil, of(func(s *Status) float64 { return float64(s.Started.Unix()) })),
	gauge("generation", "How many configurations have served, this one included.", nil, of(func(s *Status) float64 { return float64(s.Generation) })),
	gauge("generation_since_seconds", "When this configuration took over.", nil, of(func(s *Status) float64 { return float64(s.Since.Unix()) })),
	counter("reloads", "Reloads, by how they ended.", []string{"result"}, func(s *Status, send func(float64, ...string)) {
		send(float64(s.Totals.Reloads), "done")
		send(float64(s.Totals.ReloadsRefused), "refused")
	}),
	gauge("connections", "Clients connected now.", nil, of(func(s *Status) float64 { return float64(s.Totals.Connections) })),
	gauge("connections_max", "Clients that may be connected.", nil, of(func(s *Status) float64 { return float64(s.Totals.MaxConnections) })),
	counter("panics", "Exchanges lost to a fault of the program.", nil, of(func(s *Status) float64 { return float64(s.Totals.Panics) })),

	gauge("frontend_connections", "Clients connected now.", byFrontend, ofFrontends(func(f *Frontend) float64 { return float64(f.Connections) })),
	counter("frontend_connections", "Connections accepted.", byFrontend, ofFrontends(func(f *Frontend) float64 { return float64(f.Accepted) })),
	counter("frontend_connections_refused", "Connections closed at once: their source had enough.", byFrontend, ofFrontends(func(f *Frontend) float64 { return float64(f.Refused) })),
	counter("frontend_monitored", "Probes that monitor answered.", byFrontend, ofFrontends(func(f *Frontend) float64 { return float64(f.Monitored) })),
	counter("frontend_requests", "Requests.", byFrontend, ofFrontends(func(f *Frontend) float64 { return float64(f.Requests) })),
	counter("frontend_requests_bad", "Requests that could not be read.", byFrontend, ofFrontends(func(f *Frontend) float64 { return float64(f.Bad) })),
	gauge("frontend_active", "Exchanges under way.", byFrontend, ofFrontends(func(f *Frontend) float64 { return float64(f.Active) })),
	counter("compress_answers", "Answers that went out compressed, by coding.", []string{"frontend", "coding"}, ofCounts(func(c *Compress) []Count { return c.Answers })),
	counter("compress_copies", "Compressed answers that were made once and are kept beside the cache.", byFrontend, ofCompressors(func(c *Compress) float64 { return float64(c.Copies) })),
	counter("compress_in_bytes", "Content of compressed answers, as it was.", byFrontend, ofCompressors(func(c *Compress) float64 { return float64(c.In) })),
	counter("compress_out_bytes", "Content of compressed answers, as clients got it.", byFrontend, ofCompressors(func(c *Compress) float64 { return float64(c.Out) })),
	counter("compress_skipped", "Answers that went out as they are, by reason.", []string{"frontend", "reason"}, ofCounts(func(c *Compress) []Count { return c.Skipped })),

	gauge("backend_usable", "Whether a request without a cookie finds a server.", byBackend, ofBackends(func(b *Backend) float64 { return truth(b.Usable) })),
	counter("backend_requests", "Requests.", byBackend, ofBackends(func(b *Backend) float64 { return float64(b.Requests) })),
	counter("backend_failed", "Exchanges without an answer of a server.", byBackend, ofBackends(func(b *Backend) float64 { return float64(b.Failed) })),
	counter("backend_retries", "Attempts beyond the first.", byBackend, ofBackends(func(b *Backend) float64 { return float64(b.Retries) })),
	counter("backend_redispatches", "Requests that went to another server than first chosen.", byBackend, ofBackends(func(b *Backend) float64 { return float64(b.Redispatches) })),
	gauge("backend_active", "Exchanges under way.", byBackend, ofBackends(func(b *Backend) float64 { return float64(b.Active) })),
	gauge("backend_waiting", "Requests that wait for a free place on a server.", byBackend, ofBackends(func(b *Backend) float64 { return float64(b.Waiting) })),

	gauge("server_up", "Whether the checks find the server well.", byServer, ofServers(func(v *Server) float64 { return truth(v.Health == "up" || v.Health == "unchecked") })),
	gauge("server_newcomers", "Whether requests without the server's cookie may come.", byServer, ofServers(func(v *Server) float64 { return truth(v.Newcomers) })),
	gauge("server_since_seconds", "When the verdict of the checks last changed.", byServer, ofServers(func(v *Server) float64 { return float64(v.Since.Unix()) })),
	gauge("server_weight", "The weight that counts.", byServer, ofServers(func(v *Server) float64 { return float64(v.Weight) })),
	gauge("server_active", "Exchanges under way.", byServer, ofServers(func(v *Server) float64 { return float64(v.Active) })),
	gauge("server_waiting", "Holders of its cookie that wait for a free place.", byServer, ofServers(func(v *Server) float64 { return float64(v.Waiting) })),
	gauge("server_idle_connections", "Connections kept for the next request.", byServer, ofServers(func(v *Server) float64 { return float64(v.Idle) })),
	counter("server_requests", "Requests.", byServer, ofServers(func(v *Server) float64 { return float64(v.Requests) })),
	counter("server_connections", "Connections made.", byServer, ofServers(func(v *Server) float64 { return float64(v.Connections) })),
	counter("server_connections_failed", "Attempts to connect that failed.", byServer, ofServers(func(v *Server) float64 { return float64(v.Refused) })),
	counter("server_failed", "Exchanges in which the server failed.", byServer, ofServers(func(v *Server) float64 { return float64(v.Failed) })),

	gauge("cache_keys", "URLs of which something is remembered.", byCache, ofCaches(func(c *Cache) float64 { return float64(c.Keys) })),
	gauge("cache_bytes", "What is remembered, about.", byCache, ofCaches(func(c *Cache) float64 { return float64(c.Bytes) })),
	gauge("cache_memory_bytes", "The bound of what is remembered.", byCache, ofCaches(func(c *Cache) float64 { return float64(c.Memory) })),
	gauge("cache_filling_bytes", "Content on its way into the cache.", byCache, ofCaches(func(c *Cache) float64 { return float64(c.Filling) })),
	counter("cache_requests", "Requests, by what the cache did.", []string{"cache", "result"}, func(s *Status, send func(float64, ...string)) {
		for i := range s.Caches {
			c := &s.Caches[i]
			send(float64(c.Hits-min(c.Hits, c.Stale)), c.Name, "hit")
			send(float64(c.Stale), c.Name, "stale")
			send(float64(c.Collapsed), c.Name, "collapsed")
			send(float64(c.Misses-min(c.Misses, c.Collapsed)), c.Name, "miss")
			send(float64(c.Passed), c.Name, "pass")
		}
	}),
	counter("cache_revalidated", "Answers of which a server said that they are still good.", byCache, ofCaches(func(c *Cache) float64 { return float64(c.Revalidated) })),
	counter("cache_refreshes", "Answers fetched in the background.", byCache, ofCaches(func(c *Cache) float64 { return float64(c.Refreshes) })),
	counter("cache_stored", "Answers stored.", byCache, ofCaches(func(c *Cache) float64 { return float64(c.Stored) })),
	counter("cache_unstorable", "Answers that may not be stored.", byCache, ofCaches(func(c *Cache) float64 { return float64(c.Unstorable) })),
	counter("cache_truncated", "Answers that broke off while they were stored.", byCache, ofCaches(func(c *Cache) float64 { return float64(c.Truncated) })),
	counter("cache_evicted", "URLs that made room for others.", byCache, ofCaches(func(c *Cache) float64 { return float64(c.Evicted) })),
	counter("cache_purged", "URLs forgotten by order.", byCache, ofCaches(func(c *Cache) float64 { return float64(c.Purged) })),
	counter("cache_invalidated", "URLs forgotten as a request may have changed them.", byCache, ofCaches(func(c *Cache) float64 { return float64(c.Invalidated) })),
	gauge("cache_disk_objects", "Answers on the disk.", byCache, ofDisks(func(d *Disk) float64 { return float64(d.Objects) })),
	gauge("cache_disk_bytes", "What their files take.", byCache, ofDisks(func(d *Disk) float64 { return float64(d.Bytes) })),
	gauge("cache_disk_size_bytes", "The bound of that.", byCache, ofDisks(func(d *Disk) float64 { return float64(d.Size) })),
	gauge("cache_disk_queued_bytes", "Content that waits to be written.", byCache, ofDisks(func(d *Disk) float64 { return float64(d.Queued) })),
	counter("cache_disk_hits", "Hits whose content came from the disk.", byCache, ofDisks(func(d *Disk) float64 { return float64(d.Hits) })),
	counter("cache_disk_promoted", "Answers brought from the disk into memory.", byCache, ofDisks(func(d *Disk) float64 { return float64(d.Promoted) })),
	counter("cache_disk_stored", "Answers written.", byCache, ofDisks(func(d *Disk) float64 { return float64(d.Stored) })),
	counter("cache_disk_written_bytes", "Bytes written.", byCache, ofDisks(func(d *Disk) float64 { return float64(d.Written) })),
	counter("cache_disk_dropped", "Answers not written, as the disk was too slow or full.", byCache, ofDisks(func(d *Disk) float64 { return float64(d.Dropped) })),
	counter("cache_disk_evicted", "Answers that made room for others.", byCache, ofDisks(func(d *Disk) float64 { return float64(d.Evicted) })),
	counter("cache_disk_corrupt", "Files that were not what had been written.", byCache, ofDisks(func(d *Disk) float64 { return float64(d.Corrupt) })),
	counter("cache_disk_errors", "Errors of the file system.", byCache, ofDisks(func(d *Disk) float64 { return float64(d.Errors) })),
	counter("cache_disk_slow", "Requests that asked a server as the disk was too slow.", byCache, ofDisks(func(d *Disk) float64 { return float64(d.Slow) })),
	gauge("cache_disk_ready", "1 if the disk tier is in use.", byCache, ofDisks(func(d *Disk) float64 { return truth(d.State == "ready" && d.Trouble == "") })),

	gauge("certificate_not_after_seconds", "When the certificate served for the name ends: of several the first.", byName, func(s *Status, send func(float64, ...string)) {
		ends, order := map[[2]string]time.Time{}, [][2]string(nil)
		for i := range s.Certificates {
			c := &s.Certificates[i]
			for _, name := range c.Names {
				key := [2]string{c.TLS, name}
				end, seen := ends[key]
				switch {
				case c.NotAfter.IsZero():
				case !seen:
					order = append(order, key)
					ends[key] = c.NotAfter
				case c.NotAfter.Before(end):
					ends[key] = c.NotAfter
				}
			}
		}
		for _, key := range order {
			send(float64(ends[key].Unix()), key[0], key[1])
		}
	}),
	gauge("certificate_obtained", "Whether there is a certificate of the CA for the name, and not one that only stands in for it.", byName,
		ofManaged(func(c *Certificate) float64 { return truth(!c.NotAfter.IsZero()) })),
	gauge("certificate_next_attempt_seconds", "When gatehouse asks the CA next; 0: nothing is planned.", byName, ofManaged(func(c *Certificate) float64 {
		if c.Next.IsZero() {
			return 0
		}
		return float64(c.Next.Unix())
	})),
	counter("certificate_renewals", "Certificates that a CA has issued.", byName, ofManaged(func(c *Certificate) float64 { return float64(c.Successes) })),
	counter("certificate_renewal_failures", "Attempts to obtain a certificate that have failed.", byName, ofManaged(func(c *Certificate) float64 { return float64(c.Failures) })),
	counter("log_lines_dropped", "Lines the output did not take.", []string{"log"}, func(s *Status, send func(float64, ...string)) {
		for _, l := range s.Logs {
			send(float64(l.Dropped), l.Name)
		}
	}),
}

// snapshot renders one Status for each scrape: there are no counters of its own.
type snapshot func() *Status

// Describe implements prometheus.Collector.
func (snapshot) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range metrics {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (status snapshot) Collect(ch chan<- prometheus.Metric) {
	s := status()
	for _, m := range metrics {
		m.each(s, func(v float64, labels ...string) {
			if x, err := prometheus.NewConstMetric(m.desc, m.kind, v, labels...); err == nil {
				ch <- x
			} else { // a name in the configuration that is no UTF-8
				ch <- prometheus.NewInvalidMetric(m.desc, err)
			}
		})
	}
}

// metricsHandler answers /metrics.
func metricsHandler(status func() *Status) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(snapshot(status), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4})
}
