// The REST API: JSON in, JSON out, problems (RFC 9457) as errors with their stable code.

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || `HTTP ${status}`);
    this.status = status;
    this.code = body.code || "http-error";
  }
}

export class Api {
  constructor(origin, token = null) {
    this.origin = origin;
    this.token = token;
    this.onUnauthorized = () => {};
  }

  get(path, headers = {}) {
    return this.request("GET", path, undefined, headers);
  }

  post(path, body = {}, headers = {}) {
    return this.request("POST", path, body, headers);
  }

  // What is no JSON, such as a receipt, as text.
  async text(path) {
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    const answer = await fetch(`${this.origin}/api/v1${path}`, { headers, credentials: "omit", cache: "no-store" });
    if (answer.ok) return answer.text();
    throw new Problem(answer.status, await answer.json().catch(() => ({})));
  }

  async request(method, path, body, more = {}) {
    const headers = { ...more };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const answer = await fetch(`${this.origin}/api/v1${path}`, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
    });
    if (answer.status === 204) return null;
    const data = await answer.json().catch(() => ({}));
    if (answer.ok) return data;
    if (answer.status === 401 && this.token) this.onUnauthorized();
    throw new Problem(answer.status, data);
  }
}
