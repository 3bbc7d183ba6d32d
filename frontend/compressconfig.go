package frontend

// Compress says what is compressed, for whom and how.
type Compress struct {
	// Types are the media types that are compressed: "text/html", or "text/*" for all of a kind. Those of the default are texts of all
	// sorts; pictures, films and archives are compressed by nature. Add "text/event-stream" to have streams of events compressed too:
	// each event still arrives at once.
	Types []string `hcl:"types,optional" default:"text/html,text/plain,text/css,text/javascript,text/xml,text/csv,text/markdown,text/calendar,text/vcard,text/vtt,text/x-component,application/javascript,application/x-javascript,application/json,application/ld+json,application/geo+json,application/manifest+json,application/problem+json,application/graphql-response+json,application/vnd.api+json,application/xml,application/xhtml+xml,application/rss+xml,application/atom+xml,application/wasm,application/vnd.ms-fontobject,image/svg+xml,image/bmp,image/x-icon,image/vnd.microsoft.icon,font/ttf,font/otf"`

	// Algorithms are the codings clients are offered: "zstd", "br" (Brotli) and "gzip", the preferred one first. A client gets the one it
	// likes best, and of several it likes alike the first.
	Algorithms []Coding `hcl:"algorithms,optional" default:"zstd,br,gzip"`

	// MinSize is the length from which an answer is compressed: shorter ones gain nothing. Answers whose length is known at their end
	// only are compressed always.
	MinSize int64 `hcl:"min_size,optional" unit:"bytes" default:"1KiB"`

	// GzipLevel is how hard gzip tries, from 1 (fast) to 9 (small).
	GzipLevel int `hcl:"gzip_level,optional" default:"5"`
	// BrotliLevel is how hard br tries, from 0 (fast) to 11 (small).
	BrotliLevel int `hcl:"brotli_level,optional" default:"5"`
	// ZstdLevel is how hard zstd tries, from 1 (fast) to 19 (small), in the steps of its command.
	ZstdLevel int `hcl:"zstd_level,optional" default:"3"`

	// Private also compresses answers for one client alone. Without it they go out as they are: where a page holds both a secret and
	// something an attacker can put there, its compressed length tells the secret bit by bit (BREACH). Private is what says so
	// (Cache-Control), what sets a cookie, and the answer to a request with cookies or credentials, unless it came from the cache or says
	// by its Cache-Control that a shared cache might keep it ("public", "max-age=600"). The persistence cookie does not count, neither when it
	// is given nor, where servers do not get to see it, when it comes back: nothing in a page depends on it. Switch it on where pages hold no
	// secrets such as tokens against forged requests, or where nothing of a request is repeated in them.
	Private bool `hcl:"private,optional"`

	// Memory bounds what compressing takes. A quarter of it keeps compressed copies of answers from the cache, which so are compressed once and
	// not at each hit. The rest is for answers under way, at about 1 MiB each by gzip, 2 MiB by zstd and 4 MiB by br; those that find
	// no room go out as they are.
	Memory int64 `hcl:"memory,optional" unit:"bytes" default:"128MiB"`
}
