export declare const wasm: string;
