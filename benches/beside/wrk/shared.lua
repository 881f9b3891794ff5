-- wrong passwords for 100,000 usernames, from as many addresses, as a form sends them; made once,
-- before the run
local requests, made, sent = {}, 20000, 0
init = function()
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
  math.randomseed(1)
  for at = 1, made do
    local from = math.random(100000)
    wrk.headers["X-Forwarded-For"] = "10." .. math.floor(from / 65536) .. "." .. math.floor(from / 256) % 256 .. "." .. from % 256
    local body = "username=user" .. math.random(100000) .. "&password=correct-horse-battery" .. at
    requests[at] = wrk.format("POST", "/login", nil, body)
  end
end
request = function()
  sent = sent % made + 1
  return requests[sent]
end
