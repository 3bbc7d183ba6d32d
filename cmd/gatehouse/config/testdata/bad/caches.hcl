cache "pages" {
  memory     = "512KiB"
  max_object = "0"
  query { drop = ["*"] }
  rule {
    paths  = ["assets/*", "/a*b"]
    ttl    = "1d"
    bypass = true
  }
}

cache "cookies" {
  unsafe_store_set_cookie = true
}

listen "relay" {
  mode  = "tcp"
  cache = cache.pages
  bind ":81" {}
  server "a" "10.0.0.1:81" {}
}

frontend "www" {
  bind ":80" {}
  cache   = cache.cookies
  backend = backend.app
  route {
    paths   = ["/api/*"]
    backend = backend.api
  }
  route {
    paths   = ["/own/*"]
    backend = backend.own
  }
  route {
    paths   = ["/live/*"]
    backend = backend.live
    cache   = false
  }
}
backend "app" {
  cookie "JSESSIONID" { mode = "prefix" }
  server "a" "10.0.0.1:80" {}
}
backend "api" {
  cookie "SID" { mode = "rewrite" }
  server "a" "10.0.0.2:80" {}
}
backend "own" {
  cookie "SERVERID" {}
  server "a" "10.0.0.3:80" {}
}
backend "live" {
  cookie "SID" { mode = "passive" }
  server "a" "10.0.0.4:80" {}
}
