// Definitions of sagas, with their graphs; they change with a new version of kefu only.

export class Definitions {
  #asked = null;

  constructor(api) {
    this.api = api;
  }

  async get(name, version) {
    this.#asked ??= this.api.get("/sagas/definitions").catch((error) => {
      this.#asked = null;
      throw error;
    });
    const all = await this.#asked;
    return (all.data ?? all).find((one) => one.name === name && one.version === version) ?? null;
  }
}
