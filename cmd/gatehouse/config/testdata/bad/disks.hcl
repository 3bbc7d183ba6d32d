# Directories of caches that cannot be.
cache "one" {
  disk "/var/cache/one" { size = "100KiB" }
}

cache "same" {
  disk "/var/cache/../cache/one" {}
}

cache "nested" {
  disk "/var/cache/one/nested" { size = 5 }
}

cache "root" {
  disk "/" {}
}

cache "two" {
  disk "/var/cache/two" {}
  disk "/var/cache/two2" {}
}

cache "nameless" {
  disk {}
}

frontend "www" {
  bind ":80" {}
  backend = backend.app
  cache   = cache.one
}

backend "app" {
  server "A" "192.0.2.1:80" {}
}
