frontend "www" {
  bind ":80" {}
  backend = backend.app
  compress {
    types        = ["html", "text/*", "te xt/html"]
    algorithms   = ["gzip", "deflate", "gzip"]
    min_size     = 1024
    gzip_level   = 0
    brotli_level = 12
    zstd_level   = 20
    memory       = "1MiB"
  }
}
frontend "more" {
  bind ":81" {}
  backend = backend.app
  compress {
    types        = []
    algorithms   = []
    brotli_level = 11
    min_size     = "-1KiB"
  }
}
frontend "tcp" {
  mode    = "tcp"
  bind ":82" {}
  backend = backend.bytes
  compress {}
}
backend "app" {
  server "a" "127.0.0.1:8080" {}
}
backend "bytes" {
  mode = "tcp"
  server "a" "127.0.0.1:8081" {}
}
