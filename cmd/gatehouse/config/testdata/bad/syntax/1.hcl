frontend "www" {
  bind ":80" {}
  backend = backend.hidden
  wieght  = 3
}
